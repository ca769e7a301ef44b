"""How large a buffer of an effect in ISF is to be: an expression of the picture's size and the inputs."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_PX = 4096

_OPERATORS: dict[type, Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, Any] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
    "abs": abs,
    "sqrt": math.sqrt,
    "min": min,
    "max": max,
}


@dataclass(frozen=True, slots=True)
class Size:
    """A number of pixels, such as "floor($WIDTH/2.0)"; $ goes before WIDTH, HEIGHT and the names of inputs."""

    text: str

    def check(self, names: set[str]) -> None:
        """ValueError, saying what is wrong, where it cannot be computed from values of these names."""
        for node in ast.walk(self._tree()):
            if isinstance(node, ast.Call) and (not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS):
                raise ValueError(f"{self.text!r}: a function; accepted: {', '.join(_FUNCTIONS)}")
            if isinstance(node, ast.Name) and node.id not in names | set(_FUNCTIONS):
                raise ValueError(
                    f"{self.text!r}: ${node.id}; accepted: {', '.join(f'${name}' for name in sorted(names))}"
                )
            known = (*_OPERATORS, ast.Expression, ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Load, ast.Constant)
            if not isinstance(node, known) or (
                isinstance(node, ast.Constant) and not isinstance(node.value, int | float)
            ):
                raise ValueError(f"{self.text!r}; accepted: numbers, + - * / %, {', '.join(_FUNCTIONS)}")

    def pixels(self, values: Mapping[str, float]) -> int:
        """For these values, 1..`MOST_PX`; what has no value, as a division by 0, is 1."""
        try:
            return int(min(max(self._value(self._tree().body, values), 1), MOST_PX))
        except (ArithmeticError, ValueError, TypeError):
            return 1

    def _tree(self) -> ast.Expression:
        try:
            return ast.parse(re.sub(r"\$(?=[A-Za-z_])", "", self.text).strip(), mode="eval")
        except SyntaxError as error:
            raise ValueError(f"{self.text!r}; accepted: such as floor($WIDTH/2.0)") from error

    def _value(self, node: ast.expr, values: Mapping[str, float]) -> Any:
        match node:
            case ast.Constant(value):
                return value
            case ast.Name(name):
                return values[name]
            case ast.UnaryOp(op, operand):
                return _OPERATORS[type(op)](self._value(operand, values))
            case ast.BinOp(left, op, right):
                return _OPERATORS[type(op)](self._value(left, values), self._value(right, values))
            case ast.Call(ast.Name(name), arguments):
                return _FUNCTIONS[name](*(self._value(argument, values) for argument in arguments))
        raise ValueError(self.text)


WHOLE_WIDTH, WHOLE_HEIGHT = Size("$WIDTH"), Size("$HEIGHT")
