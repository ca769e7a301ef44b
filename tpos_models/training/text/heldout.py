"""Prompts written by hand, never by the templates: what the text space is judged on.

Each line is `prompt | place | conditions`. Place `-` expects none, `*` accepts any, `a/b` either. A condition must
show; one with `?` may. Every other condition must stay absent. Odd lines may be looked at while writing synonyms
(development), even lines are only ever scored (test).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HeldOut:
    """One prompt with the places accepted ("" is none; None: any), the conditions demanded and those tolerated."""

    prompt: str
    places: tuple[str, ...] | None
    conditions: frozenset[str]
    tolerated: frozenset[str]


def parse(text: str) -> list[HeldOut]:
    """Read the table's format."""
    rows = []
    for line in text.strip().splitlines():
        prompt, place, conditions = (part.strip() for part in line.split("|"))
        names = conditions.split()
        places = None if place == "*" else tuple(name.replace("-", "") for name in place.split("/"))
        required = frozenset(n for n in names if not n.endswith("?"))
        tolerated = frozenset(n[:-1] for n in names if n.endswith("?"))
        rows.append(HeldOut(prompt, places, required, tolerated))
    return rows


PROMPTS = parse("""
waves rolling onto white sand | beach | waves
a lonely lighthouse by the stormy ocean | beach | waves? rain? wind? thunder?
palm trees swaying on a tropical shore | beach | wind? sunny?
the Pacific at dusk | beach | sunset waves? night?
surfers waiting for the swell | beach | waves
tsunami | beach/- | waves
seaside cliffs wrapped in mist | beach | fog
beach party around a fire after dark | beach/campfire | fire night
the shoreline is burning | beach | fire
a hurricane hits the coast | beach | wind rain? waves? thunder?
snow falling on the alps | mountains | snow
the Himalayas above the clouds | mountains | fog? snow?
jagged peaks glowing at sundown | mountains | sunset
a misty valley between the hills | mountains | fog
thunder rolls over the rocky ridge | mountains | thunder
northern lights above snowy summits | mountains | aurora snow night?
mount everest in a blizzard | mountains | snow wind?
green alpine slopes with birds singing in the sunshine | mountains/meadow | sunny
a walk through an autumn woodland | forest | wind? sunset?
ancient redwoods in the fog | forest | fog
wildfire tearing through the pines | forest | fire wind?
rainforest during the monsoon | forest | rain
jungle with chirping birds | forest | sunny
moonlit birch trees | forest | night
it is snowing in the woods | forest | snow
a gust shakes the oak trees | forest | wind
sand dunes of the Sahara | desert | sunny? wind?
camels crossing the dunes at sunset | desert | sunset
a sandstorm in the desert | desert | wind fog?
cactus under a blazing sun | desert | sunny
Mojave at midnight with stars | desert | night
lightning strikes the dry badlands | desert | thunder
skyscrapers in the rain | city | rain
Tokyo streets at night | city/neon | night
downtown Manhattan covered in snow | city | snow
burning city | city | fire
an explosion downtown | city | explosion fire?
London fog | city | fog
rooftops at golden hour | city | sunset
a rainy alley with umbrellas | city | rain
the skyline struck by lightning | city | thunder
fireworks over the town | city | explosion night?
an empty playground in the drizzle | park | rain
joggers and benches under the trees, birds chirping | park | sunny
the park after a heavy snowfall | park | snow
a windy afternoon in Central Park | park/city | wind
picnic lawn on a sunny day | park/meadow | sunny
roses in the rain | garden | rain
a Japanese garden covered with snow | garden | snow
tulips swaying in the breeze | garden/meadow | wind
my grandmother's flowerbeds in the morning sun | garden | sunny
the garden is on fire | garden | fire
lavender and butterflies | garden/meadow | sunny?
Mount Etna erupting | volcano | explosion? fire?
rivers of lava flowing down the crater | volcano | fire? explosion?
a volcano blowing up | volcano | explosion fire?
snow-covered volcano | volcano | snow
magma and ash clouds | volcano | fire? fog? explosion? night?
calm lake at dawn | lake | sunset
a pond with ripples from the rain | lake | rain
reflections on still water, mountains far away | lake/mountains |
frozen lake under the northern lights | lake | aurora snow? night?
rowing boats on the lagoon in the mist | lake | fog
loch ness in a thunderstorm | lake | thunder rain wind?
Niagara | waterfall | splash?
a roaring cascade in the jungle | waterfall/forest | splash?
the river plunges over the cliff at night | waterfall | night splash?
rapids and foaming water in the canyon | waterfall | splash? waves?
creek running between mossy stones | waterfall/forest/lake | splash?
a fountain splashing in the square | fountain | splash
water jets of a marble fountain under the moon | fountain | night splash?
the plaza fountain in winter, light snow | fountain | snow splash?
spouting water in the courtyard | fountain | splash?
coral reef with bubbles rising | deep_sea | bubbles
underwater temple | deep_sea | bubbles?
a submarine in the abyss | deep_sea | bubbles? night?
jellyfish drifting | deep_sea | bubbles?
the bottom of the ocean | deep_sea | bubbles?
whales swimming beneath the surface | deep_sea | bubbles?
scuba diver blowing bubbles | deep_sea | bubbles
wheat fields in the wind | meadow | wind
grassland under dark rain clouds | meadow | rain? fog? thunder?
prairie thunderstorm | meadow | thunder rain wind?
a pasture with skylarks in summer | meadow | sunny
poppies in a sunlit field | meadow/garden | sunny
tall grass at nightfall | meadow | night sunset?
embers and crackling logs | campfire | fire
friends sitting by the bonfire under the stars | campfire | fire night
firewood in the forest | campfire/forest | fire?
marshmallows over glowing coals | campfire | fire
a fireplace with a roaring blaze | campfire | fire
tents around a campfire in the snow | campfire | fire snow
acid tunnel | tunnel |
flying through an endless vortex | tunnel | wind?
wormhole corridor, techno visuals | tunnel/galaxy |
hypnotic spiral pulling me in | tunnel |
liquid metal | ink |
swirling paint in water | ink | splash? bubbles?
molten chrome dripping | ink | fire?
smoke and ink blots | ink | fog?
marbled oil colours flowing | ink |
milky way | galaxy | night?
a nebula giving birth to stars | galaxy | night? explosion?
drifting past Saturn in outer space | galaxy | night?
supernova | galaxy | explosion
astronaut lost in the cosmos | galaxy | night?
rave lasers | neon | night?
glowing grid, synthwave | neon | night? sunset?
cyberpunk geometry, wireframe cubes | neon | night?
blacklight triangles pulsing | neon | night?
strobing LED shapes in a club | neon | night?
heavy rain | - | rain
a light drizzle | - | rain
thunderstorm | - | thunder rain wind?
lightning | - | thunder
blizzard | -/mountains | snow wind?
inferno | - | fire
monsoon | - | rain wind?
a tornado | - | wind rain? thunder?
thick haze everywhere | - | fog
golden sunset | - | sunset
pitch black night | - | night
birdsong on a bright morning | - | sunny
soap bubbles | - | bubbles
a huge detonation | - | explosion fire?
aurora borealis | - | aurora night?
splish splash | - | splash
flames | - | fire
hailstorm | - | rain? snow? wind? thunder?
the sky without a cloud, blue and sunny | - | sunny
a portrait of a man in a suit | - |
two cats on a sofa | - |
a bowl of ramen | - |
invoice for the third quarter | - |
my left shoe | - |
beach, no waves | beach |
a forest without any rain | forest |
city streets, no fog, just rain | city | rain
mountains but not at night | mountains | sunny?
not a fire but an explosion in the desert | desert | explosion fire?
thunder without rain over the lake | lake | thunder
campfire with no wind | campfire | fire
volcano, no fire, only fog | volcano | fog
a garden with neither snow nor wind | garden |
snowless mountains in the sun | mountains | sunny
the storm is over, sunshine over the meadow | meadow | sunny
desert that never sees rain | desert | sunny?
light snow and strong wind in the park | park | snow wind
fog, rain, thunder | - | fog rain thunder
sea on fire at night | beach | fire night waves?
aurora over the desert and light fog | desert | aurora fog night?
cinematic wide shot of a stormy sea, 4k, ultra detailed | beach | waves? wind? rain? thunder?
oil painting of a sunlit orchard | garden/forest/meadow/park | sunny
a photo of a burning forest at night, award winning | forest | fire night
watercolor, waterfall, soft mist | waterfall | fog splash?
trending on artstation, epic volcano, explosion, red sky | volcano | explosion fire? sunset?
drone footage of the coastline in winter | beach | snow?
3d render of a garden with fire | garden | fire
thunderstorm over the sea | beach | thunder rain waves? wind?
fire crackling in the garden | garden/campfire | fire
bubbles in the deep blue | deep_sea/- | bubbles
birds after the rain in the park | park | sunny rain?
waves turning into flames | beach/- | waves fire
squelching wet mud in the garden | garden | splash? rain?
a howling gale across the moor | meadow/- | wind
rain pattering on the leaves of the rainforest | forest | rain
torrential downpour in Mumbai | city | rain
an iceberg in the arctic sea | beach/- | snow? waves?
bombs going off in the distance | - | explosion fire?
crackling hearth | campfire | fire
breakers crashing against the pier | beach | waves splash?
fountain of lava at night | volcano | night fire? explosion?
dawn chorus | - | sunny sunset?
starry night over the village | city | night
neon city in the rain at night | city/neon | rain night
snowflakes dancing in the lamplight | - | snow night?
puddles splashing | - | splash rain?
stars | galaxy/- | night?
the moon over the bay | beach | night waves?
hot and dry savanna | meadow/desert | sunny?
""")
