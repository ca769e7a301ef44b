"""The words a scene can be said with: what the caption templates draw from.

Words are separated by commas; `word=0.5` gives its own strength, the default is 1 for places and `PLAIN` for
conditions. Phrases stand without article.
"""

from __future__ import annotations

from dataclasses import dataclass

LIGHT, PLAIN, HEAVY = 0.35, 0.8, 1.1
"""Strengths of "light rain", "rain" and "heavy rain"."""

Strengths = dict[str, float]


def split(text: str, default: float) -> Strengths:
    """Words of a list with their strengths."""
    pairs = (item.strip().partition("=") for item in text.split(",") if item.strip())
    return {" ".join(word.split()): float(value) if value else default for word, _, value in pairs}


def _words(text: str) -> list[str]:
    return list(split(text, 1.0))


@dataclass(frozen=True)
class Forms:
    """How one condition is said: nouns ("with {}"), adjectives ("{} beach") and phrases ("in the rain")."""

    nouns: Strengths
    adjectives: Strengths
    phrases: Strengths


def _forms(nouns: str, adjectives: str, phrases: str) -> Forms:
    return Forms(split(nouns, PLAIN), split(adjectives, PLAIN), split(phrases, PLAIN))


PLACE_WORDS: dict[str, list[str]] = {
    name: _words(text)
    for name, text in {
        "beach": """beach, sandy beach, sea, ocean, seaside, seashore, shore, coast, coastline, shoreline, bay,
            harbor, harbour, pier, island, tropical island, cove, sandy cove, beach with palm trees, palm beach,
            open sea, high seas, sea cliffs, lighthouse, rocky coast, ocean view, surf beach, caribbean island,
            hawaii beach, atlantic ocean, north sea, seafront, marina, boats at sea, sailing ship on the ocean,
            mediterranean coast, white sand, boardwalk by the sea, tide, sand castle, horizon over the sea,
            sailboat, pirate ship, fishing boats, port, peninsula, tropical shore, palms by the sea, ibiza,
            miami beach, bondi, riviera, waterfront, cliffs over the ocean, tropics""",
        "mountains": """mountains, mountain, mountain range, peaks, mountain peak, summit, hills, hilltop, alps,
            rocky mountains, ridge, cliffs, mountain pass, highlands, valley, canyon, andes, rocky peaks,
            glacier, alpine landscape, high mountains, mountain valley, mountain landscape, matterhorn, mount
            fuji, range of hills, mountaintop, ravine, gorge, landscape, steep slopes, ski slope, foothills,
            rocks and cliffs, crags, fjord, climbers on a ridge, massif, patagonia, mont blanc, dolomites,
            pyrenees, nepal, yosemite""",
        "forest": """forest, woods, woodland, pine forest, jungle, rainforest, trees, tall trees, grove, deep
            forest, birch forest, tropical forest, bamboo forest, oak forest, enchanted forest, fir trees,
            taiga, conifers, forest path, undergrowth, redwood forest, maple trees, autumn forest, thicket, wild
            woods, tree trunks, spruce trees, mossy forest, forest trail, swamp, mangroves, beech wood, forest
            clearing, treetops, timberland, willow trees, tree house, black forest, amazon, ferns and moss""",
        "desert": """desert, dunes, sand dunes, sahara, sahara desert, gobi desert, arid land, wasteland, dry
            desert, badlands, cactus desert, oasis, mesa, desert landscape, endless sand, desert road, pyramids,
            arabian desert, cracked earth, barren land, salt flats, caravan in the desert, camels, cacti,
            nevada, death valley, dry plain, outback, sphinx, mirage, rolling dunes, monument valley, desert
            planet, mars surface""",
        "city": """city, town, skyline, city skyline, downtown, streets, city street, skyscrapers, skyscraper,
            metropolis, urban landscape, buildings, tower blocks, new york, tokyo, london, paris, manhattan,
            rooftops, alley, cityscape, village, suburb, traffic, city lights, hong kong, berlin, high rises,
            apartment blocks, city square, avenue, crossroads, subway station, highway, bridge over the city,
            old town, office towers, chicago, houses, street market, boulevard, industrial district, factory,
            warehouse district, mumbai, delhi, los angeles, san francisco, dubai, shanghai, istanbul, moscow,
            cairo, rio, megacity, futuristic city""",
        "park": """park, city park, public park, playground, park bench, avenue of trees in the park, lawn,
            green lawn, park with benches, park path, common, village green, urban park, hyde park, people in
            the park, picnic in the park, promenade, tree lined path, dog park, kids playing in the park, swings
            and slides, park pond, amusement park, bandstand, skate park, walkers in the park, grounds, park
            lanes, golf course""",
        "garden": """garden, flower garden, flowers, rose garden, roses, tulips, blossoms, flower beds,
            botanical garden, back garden, backyard, orchids, blooming flowers, cherry blossoms, garden of
            flowers, sunflowers, greenhouse, zen garden, vegetable garden, hedge maze, petals, flowering bushes,
            lilies, daisies, japanese garden, terrace with flowers, garden path, peonies, english garden, garden
            with flowers, vineyard, orchard, bouquet, lavender, jasmine, rose bush, lilac bushes, flowerbed,
            nursery garden, lotus flowers, hydrangeas, florist""",
        "volcano": """volcano, crater, volcanic crater, lava, lava field, magma, volcanic landscape, mount
            vesuvius, krakatoa, active volcano, lava flow, volcanic mountain, lava lake, volcanic island,
            volcanic eruption, erupting volcano, caldera, lava fountain, vulcan, molten rock, volcanic ash,
            smoking crater, pyroclastic flow, hawaiian volcano, pit of lava, volcano summit, eruption""",
        "lake": """lake, pond, still water, mountain lake, lagoon, reservoir, calm lake, lake shore, lakeside,
            calm water, loch, reflecting pond, boat on the lake, swans on a lake, frozen lake, lily pond, mirror
            lake, clear lake, lake house, rowing boat, river, wide river, riverbank, quiet river, stream in the
            valley, fishing lake, canoe on the lake, wetlands, dock on the lake, creek, canal, lake como, lake
            michigan, great lake, ducks on a pond, water reflections""",
        "waterfall": """waterfall, waterfalls, cascade, cascades, falls, niagara falls, falling water, white
            water, river rapids, rapids, torrent, plunging river, mountain stream, rushing river, river cascade,
            brook, rushing water, cataract, victoria falls, iguazu falls, gushing stream, water falling over
            rocks, rushing stream, creek with rapids, hidden waterfall, rainforest waterfall, weir, wild river,
            whitewater""",
        "fountain": """fountain, water fountain, fountains, stone fountain, marble fountain, fountain in the
            square, trevi fountain, garden fountain, water jets, jets of water, spouting fountain, fountain on
            the plaza, city fountain, water feature, ornamental fountain, fountain with statues, courtyard
            fountain, bellagio fountains, geyser, dancing fountains, water spout, fountain basin, drinking
            fountain, water sculpture, park fountain""",
        "deep_sea": """deep sea, underwater, under water, underwater world, coral reef, ocean floor, seabed,
            deep ocean, abyss, reef, underwater cave, kelp forest, aquarium, underwater scene, beneath the
            waves, sunken ship, shipwreck, atlantis, submarine, under the sea, below the surface, depths of the
            ocean, jellyfish, whales, fish swimming, sea turtle, octopus, scuba diver, marine life, seaweed,
            sharks, mariana trench, dolphins underwater, sunken city, corals, divers, underwater ruins, twenty
            thousand leagues under the sea, whale, manta rays, mermaid""",
        "meadow": """meadow, field, fields, grassland, grass, prairie, pasture, wildflower meadow, green field,
            wheat field, steppe, open field, countryside, farmland, plains, rolling fields, corn field, barley
            field, hayfield, farm, savannah, green hills, grassy plain, tall grass, sheep on a meadow, cows in a
            pasture, heath, moorland, poppy field, tundra, lavender field, rice fields, rural landscape, barn,
            horses grazing, green pastures, hay bales, dandelions""",
        "campfire": """campfire+fire:0.6, bonfire+fire:0.8, camp fire+fire:0.6, fireplace+fire:0.6, fire
            pit+fire:0.6, firewood, burning logs+fire:0.8, camp, campsite, log fire+fire:0.7, fire in the
            hearth+fire:0.7, hearth+fire:0.6, wood fire+fire:0.8, burning wood+fire:0.8, burning
            firewood+fire:0.8, stack of firewood, logs, camping in the woods, stove+fire:0.5, tent and
            campfire+fire:0.6, people around a campfire+fire:0.6, crackling campfire+fire:0.8, embers+fire:0.5,
            barbecue+fire:0.5, glowing embers+fire:0.5, scouts around the bonfire+fire:0.8, pile of burning
            branches+fire:0.8, glowing coals+fire:0.5, log cabin hearth+fire:0.5""",
        "tunnel": """tunnel, endless tunnel, vortex, wormhole, warp tunnel, psychedelic tunnel, hyperspace,
            tunnel of light, corridor, infinite corridor, spiral, hypnotic spiral, tunnel vision, concentric
            rings, hypnotic rings, black hole vortex, portal, time tunnel, warp speed, spinning rings, flying
            through a tunnel, kaleidoscope tunnel, mandala, fractal tunnel, whirlpool, rabbit hole, techno
            tunnel, circles within circles, rotating spiral, hypnosis, dmt, dmt trip, acid trip, hypnotic loop,
            infinite hallway, pipe, cave passage, infinite zoom, passage, subway tunnel, trippy tunnel""",
        "ink": """ink, liquid ink, ink in water, flowing ink, swirling ink, paint, liquid paint, flowing paint,
            marbled paint, liquid, liquid metal, mercury, oil on water, fluid, fluid simulation, marble texture,
            paint swirls, acrylic pour, watercolor blots, melting colors, smoke swirls, swirling smoke, oil
            slick, lava lamp, molten metal, psychedelic liquid, abstract fluid, dripping paint, flowing colors,
            liquid light show, ink drops, ferrofluid, mixing colors, organic shapes, molten glass, chrome,
            dripping chrome, liquid gold, slime, acid, honey, oil paint, smoke art, wax, silk, liquid chrome,
            blobs, plasma, abstract painting, colour clouds""",
        "galaxy": """galaxy, outer space, space, cosmos, universe, nebula, stars, star field, spiral galaxy,
            milky way, planets, planet, deep space, solar system, andromeda, cosmic dust, star cluster,
            interstellar space, spaceship, astronaut, comet, asteroid belt, saturn rings, constellation, cosmic
            nebula, shooting stars, space station, rocket in space, celestial bodies, moon landing, big bang,
            supernova+explosion:0.8, black hole, jupiter, meteor, satellites, orbit, quasar, starship, alien
            planet, ufo, pluto, mars orbit, aliens""",
        "neon": """neon, neon lights, neon geometry, lasers, laser show, neon grid, synthwave, vaporwave,
            glowing lines, geometric shapes, neon triangles, geometry, laser beams, club lights, disco, dance
            floor, rave, wireframe, retrowave grid, neon cubes, polygons, glowing shapes, neon sign, equalizer
            bars, light show, strobe lights, electric geometry, low poly shapes, hexagons, tron, glowing cubes,
            nightclub, techno club, party lights, neon circles, visualizer, cyber grid, digital grid, abstract
            geometry, kaleidoscope, fractal, pixels, hologram, matrix, circuit board, dj booth, concert stage,
            vj loop, glitch, party, deep house party, techno, disco ball, electro, synthwave sun, arcade, edm,
            festival stage""",
    }.items()
}

CONDITION_WORDS: dict[str, Forms] = {
    "fire": _forms(
        """fire, flames, burning flames, blaze=1, inferno=1.1, wildfire=1.1, fires, sea of flames=1.1,
        flickering flames=0.6, sparks=0.4, firestorm=1.1, conflagration=1.1, crackling fire, open fire, flame,
        torches=0.4, candles=0.3, candlelight=0.3, crackling flames, arson, bushfire=1""",
        """burning, fiery, flaming, blazing=1.1, scorched=0.6, smoldering=0.4, incandescent, torched, ignited,
        charred=0.5""",
        """on fire, in flames, burning down=1, ablaze=1, engulfed in flames=1.1, going up in flames=1, set
        alight, catching fire=0.6, consumed by fire=1.1, burning brightly, turning to fire""",
    ),
    "rain": _forms(
        """rain, rainfall, downpour=1.1, drizzle=0.35, rain shower, showers, raindrops=0.6, cloudburst=1.1,
        pouring rain=1, monsoon rain=1.1, rainstorm=1, drizzling rain=0.35, wet weather=0.6, rain drops=0.6,
        deluge=1.1, torrential rain=1.1, pattering rain=0.6, sprinkling rain=0.35, umbrellas=0.6, rainy weather,
        precipitation, pelting rain=1""",
        """rainy, rain-soaked, drizzly=0.35, wet=0.6, rain-swept, pouring=1, soaked, drenched=1, rained on,
        dripping wet=0.6""",
        """in the rain, while it rains, during a shower, under pouring rain=1, raining, when it is raining, it
        is raining, rain is falling, raining cats and dogs=1.1, with rain falling, under rain clouds=0.6, rain
        pattering down""",
    ),
    "thunder": _forms(
        """thunder, lightning, lightning bolts, lightning strikes, thunderclap=1, thunderbolt, thunder and
        lightning=1, flashes of lightning, rolling thunder, lightning bolt, forked lightning, electric storm,
        thunder rumbling=0.6, distant thunder=0.35, bolts of lightning, rumbling thunder, claps of thunder,
        electrical discharge, sheet lightning=0.6""",
        """thundery, thundering, lightning-struck, electrified, lightning-lit""",
        """struck by lightning=1, as thunder rolls, under lightning, while thunder roars=1, lit by lightning,
        hit by lightning=1, with lightning flashing, thundering, when lightning strikes""",
    ),
    "snow": _forms(
        """snow, snowfall, snowflakes=0.6, falling snow, snowstorm=1.1, powder snow, deep snow=1.1, fresh snow,
        flurries=0.35, snow flurries=0.35, winter snow, snow cover, frost=0.4, ice=0.5, sleet=0.5, snowdrifts=1,
        avalanche=1.1, snow shower=0.6, winter weather""",
        """snowy, snow-covered, snow covered, wintry, frozen=0.5, icy=0.5, frosty=0.4, snow-capped, snowbound=1,
        white with snow, snowed in=1, freezing=0.5""",
        """in the snow, while it snows, under snow, in winter=0.6, covered in snow=1, blanketed in snow=1,
        snowing, it is snowing, snow is falling, buried in snow=1.1, at christmas=0.5, in the arctic winter,
        with snow falling, under a white blanket of snow=1""",
    ),
    "wind": _forms(
        """wind, breeze=0.35, gale=1.1, gusts, storm winds=1.1, strong wind=1, winds, gust of wind, blowing
        wind, gusty wind, whirlwind=1, tornado=1.1, cyclone=1.1, hurricane winds=1.1, draft=0.35, air
        currents=0.5, howling wind=1, squall=1, twister=1.1, whistling wind, gentle breeze=0.35""",
        """windy, breezy=0.35, windswept, gusty, stormy wind, wind-blown, blustery, storm-blown=1""",
        """in the wind, on a windy day, swaying in the wind, with the wind howling=1, as the wind blows, blown
        by the wind, swaying in the breeze=0.4, bending in the storm=1, while a gale blows=1.1, wind is blowing,
        rustling in the wind=0.6""",
    ),
    "waves": _forms(
        """waves, big waves=1.1, breaking waves, surf, swell, crashing waves=1, rolling waves, tidal wave=1.1,
        tsunami=1.1, ripples=0.35, breakers, ocean waves, sea waves, rough water=1, huge waves=1.1, whitecaps,
        small waves=0.35, surging water=1, lapping waves=0.35, sea swell, rough seas=1, rogue wave=1.1, surging
        tide""",
        """wavy, choppy, surging, rippling=0.35, wave-swept, billowing""",
        """with waves rolling in, as waves break, waves crashing, waves lapping=0.4, with waves, as the swell
        rises, flooded by a tsunami=1.1""",
    ),
    "fog": _forms(
        """fog, mist=0.6, haze=0.5, thick fog=1.1, low clouds=0.6, smog, dense mist=1, morning mist=0.6,
        clouds=0.5, veil of mist=0.6, fog bank, smoke=0.6, sea of fog=1.1, cloud cover=0.5, steam=0.5, wisps of
        fog=0.35, vapor=0.5, overcast sky=0.5, murk, dry ice fog""",
        """foggy, misty=0.6, hazy=0.5, cloudy=0.5, fogged, smoky=0.6, overcast=0.5, fog-bound=1, clouded=0.5,
        gloomy=0.5, murky=0.6, steamy=0.5""",
        """in the fog, in the mist=0.6, wrapped in mist=0.6, shrouded in fog=1, lost in fog=1, hidden by
        clouds=0.6, in the clouds=0.6, under grey clouds=0.5, fading into haze=0.5, fog rolling in, in a cloud
        of steam=0.5""",
    ),
    "sunset": _forms(
        """sunset, sunrise, dusk, dawn, evening glow, golden hour, twilight, setting sun, rising sun, afterglow,
        sundown, orange sky, red sky, evening light, daybreak, evening sky, first light, low sun, nightfall=0.5,
        last light""",
        """sunset-lit, twilit, evening, sunset, dusky, sunset colored, crepuscular""",
        """at sunset, at dusk, at dawn, at sunrise, in the evening, in the evening light, at golden hour, as the
        sun sets, as the sun goes down, under an orange sky, in the last light of day, at twilight, when the sun
        rises, as day breaks, late in the evening""",
    ),
    "night": _forms(
        """night, night sky, starry sky, starry night, moonlight, full moon, moon, darkness, midnight, stars in
        the sky, dark night=1, black sky, crescent moon, night time, dark sky, moonshine, starlight, stars above""",
        """nocturnal, moonlit, night-time, nighttime, starlit, midnight, dark=0.6, pitch-dark=1.1, unlit=0.6,
        benighted""",
        """at night, by night, at midnight, in the dark, under the stars, under a starry sky, in the moonlight,
        after dark, in the middle of the night, during the night, late at night, under the moon, by moonlight,
        in darkness, when the moon is up""",
    ),
    "sunny": _forms(
        """sun, sunshine, sunlight, blue sky, bright sun, singing birds, birds, chirping birds, birdsong, clear
        sky, summer sun, sun rays, summer day, sunny weather, good weather, tweeting birds, bright daylight,
        sunbeams, seagulls, bird song, dawn chorus, birdsong at dawn, morning sun, songbirds, warm sunlight,
        heat, summer, larks, clear blue sky, daylight""",
        """sunny, sunlit, bright, summery, sun-drenched=1.1, cheerful, sun-kissed, sunlit and bright,
        springlike, warm, clear, sun-filled""",
        """in the sunshine, on a sunny day, in the sun, under a blue sky, with birds singing, in summer, on a
        bright day, with birds chirping, in spring, at noon, under a clear sky, in bright sunlight, in fine
        weather, as birds sing, with bird calls, on a hot day""",
    ),
    "bubbles": _forms(
        """bubbles, air bubbles, soap bubbles, rising bubbles, bubbling water, foam bubbles, tiny bubbles=0.5,
        streams of bubbles=1, floating bubbles, fizz=0.6, champagne bubbles, bubble stream, gurgling=0.6, bubble
        curtain=1, bubble bath, effervescence""",
        """bubbly, bubbling, fizzy, bubble-filled=1, effervescent, frothy=0.6""",
        """with bubbles rising, full of bubbles=1, in a stream of bubbles, surrounded by bubbles, with bubbles
        floating up, bubbling up, gurgling=0.6""",
    ),
    "explosion": _forms(
        """explosion, explosions, blast, detonation, fireworks, bomb, big bang, shockwave, burst, fireball=1,
        exploding bombs, eruption, explosion of light, boom, nuclear blast=1.1, bursting shells, fire
        crackers=0.5, mushroom cloud=1.1, missile strike=1, dynamite, grenade, artillery, gunfire=0.5, cannon
        fire""",
        """exploding, erupting, bursting, bombed, explosive, shattering, detonating, blasted, war-torn=0.5""",
        """blowing up, exploding, erupting, being bombed, as a bomb goes off, with something exploding, after a
        huge explosion=1.1, under bombardment, bursting apart, being blown to pieces=1.1""",
    ),
    "splash": _forms(
        """splash, splashes, splashing water, water splash, spray, splashing, water drops=0.5, squishing
        water=0.6, splatter, sea spray, droplets=0.5, puddles=0.5, spurting water, squelching=0.6, splashing
        feet, water droplets=0.5, dripping water=0.4, sloshing water, water pouring, gushing water=1, mud
        puddles=0.5, trickling water=0.4""",
        """splashing, splashy, splashed, squishy=0.5, spraying, squelchy=0.5, sloshing""",
        """with water splashing, splashing everywhere=1, jumping into the water, with splashes of water, as
        water splashes, someone diving in, stepping in puddles=0.6, with squishing water=0.6, hit by spray""",
    ),
    "aurora": _forms(
        """aurora, aurora borealis, northern lights, polar lights, southern lights, aurora australis, green
        aurora, dancing northern lights, polar aurora, lights in the arctic sky, aurora curtains=1, shimmering
        aurora, faint aurora=0.35""",
        """aurora-lit, northern-lights""",
        """under the northern lights, under the aurora, with an aurora, beneath polar lights, with northern
        lights dancing, with aurora in the sky, lit by the aurora""",
    ),
}

EVENTS: dict[str, Strengths] = {
    "thunderstorm": {"thunder": 0.9, "rain": 0.7},
    "lightning storm": {"thunder": 1.1, "rain": 0.4},
    "thunder storm": {"thunder": 0.9, "rain": 0.7},
    "storm": {"rain": 0.6, "wind": 0.7, "thunder": 0.4},
    "stormy weather": {"rain": 0.6, "wind": 0.7, "thunder": 0.4},
    "tempest": {"rain": 0.7, "wind": 0.9, "thunder": 0.5},
    "hurricane": {"wind": 1.1, "rain": 0.8},
    "typhoon": {"wind": 1.1, "rain": 0.8},
    "tropical storm": {"wind": 1.0, "rain": 0.9},
    "blizzard": {"snow": 1.1, "wind": 0.8},
    "snow storm": {"snow": 1.1, "wind": 0.6},
    "monsoon": {"rain": 1.1, "wind": 0.4},
    "hailstorm": {"rain": 0.8, "snow": 0.4, "wind": 0.4},
    "sandstorm": {"wind": 1.1, "fog": 0.5},
    "dust storm": {"wind": 1.1, "fog": 0.5},
    "apocalypse": {"fire": 0.8, "explosion": 0.6},
    "armageddon": {"fire": 0.8, "explosion": 0.8},
    "battle": {"explosion": 0.6, "fire": 0.4},
    "air raid": {"explosion": 1.0, "fire": 0.4},
    "firestorm": {"fire": 1.1, "wind": 0.6},
    "smoke and fire": {"fire": 0.8, "fog": 0.5},
    "sleet storm": {"snow": 0.5, "rain": 0.6, "wind": 0.6},
    "winter night": {"snow": 0.5, "night": 0.8},
    "summer night": {"night": 0.8},
    "summer rain": {"rain": 0.8},
    "misty morning": {"fog": 0.6},
    "sunny morning": {"sunny": 0.8},
    "rainy night": {"rain": 0.8, "night": 0.8},
    "stormy night": {"rain": 0.6, "wind": 0.7, "night": 0.8, "thunder": 0.4},
    "arctic night": {"snow": 0.6, "night": 0.8},
    "birds after rain": {"sunny": 0.8},
}
"""Weather that is several conditions at once."""

IMPLIED: dict[str, tuple[dict[str, float], Strengths]] = {
    "lava": ({"volcano": 1.0}, {"fire": 0.5}),
    "lava flow": ({"volcano": 1.0}, {"fire": 0.5}),
    "rivers of lava": ({"volcano": 1.0}, {"fire": 0.6}),
    "magma": ({"volcano": 1.0}, {"fire": 0.5}),
    "volcanic eruption": ({"volcano": 1.0}, {"explosion": 0.9, "fire": 0.4}),
    "volcano erupting": ({"volcano": 1.0}, {"explosion": 0.9, "fire": 0.4}),
    "erupting volcano": ({"volcano": 1.0}, {"explosion": 0.9, "fire": 0.4}),
    "volcano explosion": ({"volcano": 1.0}, {"explosion": 1.0}),
    "wildfire in the woods": ({"forest": 1.0}, {"fire": 1.1}),
    "forest fire": ({"forest": 1.0}, {"fire": 1.1}),
    "bushfire": ({"forest": 0.7}, {"fire": 1.1}),
    "wildfire": ({"forest": 0.7}, {"fire": 1.1}),
    "city of fire": ({"city": 1.0}, {"fire": 1.0}),
    "house on fire": ({"city": 1.0}, {"fire": 0.9}),
    "tsunami": ({"beach": 1.0}, {"waves": 1.1}),
    "storm at sea": ({"beach": 1.0}, {"waves": 1.0, "wind": 0.9, "rain": 0.5}),
    "stormy sea": ({"beach": 1.0}, {"waves": 1.0, "wind": 0.8}),
    "rough sea": ({"beach": 1.0}, {"waves": 1.0}),
    "raging ocean": ({"beach": 1.0}, {"waves": 1.1, "wind": 0.6}),
    "calm sea": ({"beach": 1.0}, {}),
    "sea waves": ({"beach": 1.0}, {"waves": 0.8}),
    "ocean waves": ({"beach": 1.0}, {"waves": 0.8}),
    "surfers": ({"beach": 1.0}, {"waves": 0.8}),
    "surfing": ({"beach": 1.0}, {"waves": 0.9}),
    "seagulls over the harbor": ({"beach": 1.0}, {"sunny": 0.6}),
    "cyberpunk": ({"neon": 0.6, "city": 0.4}, {"night": 0.5}),
    "cyberpunk city": ({"city": 0.7, "neon": 0.3}, {"night": 0.6}),
    "neon city": ({"city": 0.6, "neon": 0.4}, {"night": 0.6}),
    "blade runner": ({"city": 0.7, "neon": 0.3}, {"night": 0.6, "rain": 0.5}),
    "city lights": ({"city": 1.0}, {"night": 0.6}),
    "skyline at night": ({"city": 1.0}, {"night": 0.8}),
    "firework display": ({}, {"explosion": 0.8, "night": 0.5}),
    "fireworks": ({}, {"explosion": 0.8, "night": 0.4}),
    "war zone": ({"city": 0.7}, {"explosion": 0.7, "fire": 0.4}),
    "aquarium bubbles": ({"deep_sea": 1.0}, {"bubbles": 0.8}),
    "deep sea bubbles": ({"deep_sea": 1.0}, {"bubbles": 0.8}),
    "diver blowing bubbles": ({"deep_sea": 1.0}, {"bubbles": 0.8}),
    "rainforest": ({"forest": 1.0}, {}),
    "tropical paradise": ({"beach": 1.0}, {"sunny": 0.6}),
    "igloo": ({}, {"snow": 0.7}),
    "iceberg": ({"beach": 1.0}, {"snow": 0.4}),
    "antarctica": ({"mountains": 0.6}, {"snow": 0.8}),
    "glacier": ({"mountains": 1.0}, {"snow": 0.5}),
    "ski resort": ({"mountains": 1.0}, {"snow": 0.8}),
    "supernova": ({"galaxy": 1.0}, {"explosion": 0.8}),
    "exploding star": ({"galaxy": 1.0}, {"explosion": 0.9}),
    "foggy moor": ({"meadow": 1.0}, {"fog": 0.8}),
    "splashing fountain": ({"fountain": 1.0}, {"splash": 0.8}),
    "roaring waterfall": ({"waterfall": 1.0}, {"splash": 0.5}),
    "hell": ({"volcano": 0.5}, {"fire": 0.9}),
    "phoenix": ({}, {"fire": 0.7}),
    "dragon breathing fire": ({}, {"fire": 0.9}),
    "candle": ({}, {"fire": 0.3}),
}
"""Words that name a place and its weather together."""

TINT_WORDS: dict[str, tuple[float, float, float]] = {
    word: rgb
    for words, rgb in (
        ("red, crimson, scarlet, blood red, ruby", (0.8, -0.5, -0.5)),
        ("orange, amber, copper, rust", (0.8, 0.1, -0.6)),
        ("golden, gold, yellow, honey, sepia", (0.6, 0.4, -0.5)),
        ("green, emerald, lime, toxic green, olive, acid green", (-0.5, 0.7, -0.4)),
        ("teal, turquoise, cyan, aqua, mint", (-0.6, 0.4, 0.5)),
        ("blue, azure, sapphire, cobalt, indigo, navy blue", (-0.5, -0.2, 0.8)),
        ("purple, violet, lavender colored, ultraviolet, lilac", (0.3, -0.5, 0.7)),
        ("pink, magenta, fuchsia, rose colored, hot pink", (0.7, -0.4, 0.4)),
    )
    for word in words.split(", ")
}
"""Colour words and the push they give to red, green and blue."""

LIGHT_WORDS = _words(
    "light, gentle, faint, soft, slight, mild, weak, subtle, a little, a bit of, a hint of, some light, delicate, thin"
)
HEAVY_WORDS = _words(
    """heavy, fierce, strong, intense, violent, raging, roaring, massive, extreme, wild, huge, powerful,
    furious, mighty, dramatic, lots of, a lot of, so much, tremendous, enormous, thick, very strong, extremely
    heavy"""
)
LIGHT_ADVERBS = _words("""slightly, a little, a bit, gently, mildly, faintly, barely""")
HEAVY_ADVERBS = _words("""very, extremely, heavily, really, intensely, super, incredibly, fiercely""")

STYLES = _words(
    """cinematic, 4k, 8k, award-winning photo, masterpiece, highly detailed, ultra detailed, oil painting,
    watercolor painting, photorealistic, trending on artstation, concept art, digital art, illustration, anime
    style, studio ghibli style, minimalist, screen print, paper cut-out, lithograph, pencil sketch, 3d render,
    octane render, unreal engine, film grain, wide angle shot, drone shot, aerial view, bokeh, hdr, volumetric
    lighting, epic, beautiful, surreal, dreamy, vintage poster, impressionist, by van gogh, pixel art, macro
    photo, long exposure, 35mm film, polaroid, art deco, ukiyo-e, woodcut, vivid colors, moody, trippy,
    psychedelic, abstract, hyperrealistic, stunning, professional photography"""
)
LEADS = _words(
    """a photo of, an award-winning photo of, a painting of, a picture of, an image of, a drawing of, cinematic
    shot of, a view of, the scene of, an oil painting of, a video of, footage of, a 3d render of, visuals of,
    show me, i want to see, give me, please show, drone footage of, a wide shot of, a dream of, an illustration
    of, a matte painting of, close up of, the sound of, imagine, make it"""
)
SUBJECTS = _words(
    """a dog, two cats, a man, an old woman, a child, a robot, a cyclist, a horse, people, lovers, a dancer, a
    red car, a train, a cottage, a castle, a temple, a wooden hut, an old church, a knight, a samurai, a monk,
    friends, tourists, a fox, a deer, a statue, a house, a bridge, a piano, a giant clock, a girl with
    headphones, a dj, a crowd, ruins, a motorbike, a bench, a train station, a bear, a wolf, a dragon, children,
    a guitar player, a unicorn, a painter, a helicopter, a balloon, a plane, an owl, a table, a wizard, an
    elephant, a couple, my friend, nobody"""
)
UNRELATED = _words(
    """a bowl of soup, quarterly report, a cup of coffee, portrait of a woman, a mathematics lesson, the stock
    market, a pair of shoes, my homework, a wooden chair, breakfast, a violin, a kitten on a sofa, lorem ipsum,
    hello world, a politician giving a speech, pizza, a football match, a smartphone, the president, an email, a
    bookshelf, spaghetti, a face, a smiling man, test, music, a love song, something, anything, nothing, asdf, a
    keyboard, a sandwich, jazz quartet, barking dog, a sneezing man, crying baby, ticking clock, chainsaw,
    helicopter, kick drum, a bass line, hi hats, applause, laughter, typing, footsteps, telephone, a doctor, tax
    form, grammar"""
)
