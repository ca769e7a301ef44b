"""Play a running show over OSC: fade to a prompt, sweep a fader, and print what the show reports meanwhile.

    tpos live                      # in one window
    python examples/osc_client.py  # in another

Needs only python-osc. A show reports to whoever on its own machine sent last, at the port it was sent from; to hear it
elsewhere, start it with --osc-target.
"""

from __future__ import annotations

import argparse
import math
import time

from pythonosc.udp_client import DispatchClient


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--prompt", default="a quiet beach at sunset")
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()

    show = DispatchClient(options.host, options.port)
    show.dispatcher.map("/tpos/status/fps", lambda _, fps: print(f"frames   {fps:.1f} a second"))
    show.dispatcher.map("/tpos/status/heard", lambda _, *heard: print("heard   ", *heard))
    show.dispatcher.map("/tpos/status/prompt", lambda _, prompt: print("prompt  ", prompt))
    show.dispatcher.map("/tpos/error", lambda _, address, *why: print("error   ", address, *why))

    start_s = time.monotonic()
    show.send_message("/tpos/prompt", [options.prompt, 2.0])  # crossfading over 2 s
    while (elapsed_s := time.monotonic() - start_s) < options.seconds:
        show.send_message("/tpos/motion", 0.5 + 0.5 * math.sin(elapsed_s))
        show.handle_messages(timeout=0.05)


if __name__ == "__main__":
    main()
