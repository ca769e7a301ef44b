"""Phrases for sounds: what the joint space learns its geometry from, and the pairs it is judged on."""

from __future__ import annotations

from random import Random

ACTS = """
dog bark, puppy whine, wolf howl, cat meow, kitten purr, cow moo, horse neigh, horse gallop, sheep bleat, goat bleat,
pig grunt, lion roar, tiger growl, rooster crow, hen cluck, chicken cluck, duck quack, goose honk, crow caw, owl hoot,
pigeon coo, bird chirp, bird sing, seagull cry, sparrow twitter, cricket chirp, cicada buzz, bee buzz, fly buzz,
mosquito whine, frog croak, snake hiss, mouse squeak, monkey screech, elephant trumpet, whale sing, dolphin click,
baby cry, baby laugh, child laugh, child shout, man speak, woman speak, man cough, woman sneeze, man sneeze, person
sneeze, man snore, woman scream, crowd cheer, crowd clap, audience applaud, choir sing, singer sing, person whistle,
man breathe, person walk, person run, fire crackle, wood burn, rain fall, rain patter, rain pour, thunder rumble,
thunder roll, thunder crack, lightning strike, wind howl, wind blow, wave crash, wave break, sea roar, stream babble,
water drip, water pour, water splash, water bubble, river flow, waterfall roar, snow crunch, leaf rustle, tree fall,
volcano erupt, bomb explode, firework explode, gun fire, cannon fire, car pass, car horn, engine idle, engine rev,
engine start, train pass, train whistle, tram squeal, bus brake, truck reverse, motorbike accelerate, airplane fly,
jet roar, helicopter fly, helicopter hover, drone buzz, boat sail, ship horn, siren wail, alarm ring, clock tick,
clock chime, bell ring, church bell toll, doorbell ring, telephone ring, door knock, door creak, door slam, window
break, glass shatter, keyboard type, mouse click, printer print, camera click, chainsaw cut, saw cut, hammer hit,
drill drill, lawn mower run, vacuum cleaner hum, washing machine spin, fan hum, fridge hum, kettle boil, pan sizzle,
toilet flush, tap run, can open, bottle pour, paper tear, zipper close, coin drop, drum beat, snare hit, cymbal crash,
hi hat tick, kick drum thump, bass drop, guitar strum, piano play, violin play, flute play, trumpet play, saxophone
play, organ play, synthesizer play, dj scratch, bell jingle, gong sound, radio hiss, noise hiss, robot beep, computer
beep
"""

THINGS = """
kick drum, snare drum, hi hat, bass line, sub bass, synth pad, drone, string section, vocals, human voice, spoken
words, singing, rap, beatbox, techno beat, drum and bass, house music, ambient music, classical music, jazz, guitar
solo, piano chords, arpeggio, noise sweep, white noise, riser, silence, quiet room, static, hum, traffic, city street,
busy restaurant, crowd, stadium, construction site, factory, machine, airport, railway station, playground,
schoolyard, farm, jungle, rainforest, swamp, seashore, beach, ocean, harbor, deep sea, underwater, cave, river, brook,
fountain, waterfall, rain on a roof, rain on a window, rain on leaves, drizzle, downpour, thunderstorm, storm,
hurricane, blizzard, snowstorm, breeze, gale, gust of wind, fog horn, campfire, fireplace, bonfire, burning wood,
wildfire, explosion, fireworks, blast, detonation, gunshot, splash, diving into water, mud, squishing water, bubbles,
boiling water, gurgling, drain, aurora, northern lights, night, crickets at night, summer night, sunrise, dawn chorus,
sunset, evening, birdsong, sunny day, spring morning, snow, footsteps in snow, ice cracking, avalanche, earthquake,
lava, volcano, tornado, siren, ambulance, police car, fire engine, laughter, applause, cheering, scream, whisper,
cough, sneeze, snoring, breathing, heartbeat, hiccup, crying, baby, infant, toddler, dog, cat, rooster, cockerel,
chicken, hen, cow, horse, pig, sheep, bird, owl, insect, bee, frog, helicopter, airplane, jet, propeller, rotor
blades, rocket, train, subway, car, engine, motor, motorcycle, truck, tractor, chainsaw, electric saw, power tool,
drill, hammering, lawn mower, vacuum cleaner, clock, wrist watch, alarm clock, metronome, ticking, telephone,
typewriter, keyboard, mouse click, door, glass, paper, cutlery, cooking, frying, washing machine, hair dryer
"""

FRAMES = """
{}, the sound of {}, {} sounds, a loud {}, a quiet {}, {} in the distance, {} nearby, a recording of {}, hearing {},
some {}, {} outside, the noise of {}, {} and music, soft {}, strong {}, heavy {}, light {}, a field recording with {}
"""

PARAPHRASES = """
dog bark | barking dog
dog bark | a hound woofing
baby cry | crying baby
baby cry | an infant wailing
chainsaw | cutting trees with a power saw
chainsaw | chain saw motor
clock tick | ticking clock
clock tick | the tick-tock of a watch
fire crackling | campfire
fire crackling | crackling flames
helicopter | rotor blades of a chopper
helicopter | helicopter flying overhead
rain | heavy rain
rain | raindrops falling
rooster | cock crowing
rooster | cock-a-doodle-doo of a cockerel
sea waves | ocean surf
sea waves | waves breaking on the beach
sneeze | someone sneezing
sneeze | achoo, a man sneezes
thunder | thunderstorm
thunder | lightning and thunder
snow | snowfall
snow | a blizzard
wind | a strong breeze
wind | howling gale
fog | thick mist
sunset | the sun going down
night | midnight darkness
sunny | bright sunshine
bubbles | bubbling water
explosion | a bomb going off
explosion | huge blast
splash | splashing water
aurora | northern lights
fire | burning flames
kick drum | a thumping bass drum
hi hat | cymbals ticking
singing voice | a woman sings
silence | a quiet room
"""
"""name | the same said differently; never used for training."""


def pairs() -> list[tuple[str, str]]:
    """(name, paraphrase), the retrieval test of the joint space."""
    rows = (line.split("|") for line in PARAPHRASES.strip().splitlines())
    return [(name.strip(), other.strip()) for name, other in rows]


def items(text: str) -> list[str]:
    """The entries of one of the lists above."""
    return [" ".join(item.split()) for item in text.split(",")]


def gerund(verb: str) -> str:
    """The -ing form, close enough for a learner: bark -> barking, hum -> humming, whine -> whining."""
    if verb.endswith("e") and not verb.endswith("ee"):
        return f"{verb[:-1]}ing"
    short = len(verb) <= 4 and verb[-1] in "mnptgb" and verb[-2] in "aiou" and verb[-3] not in "aeiou"
    return f"{verb}{verb[-1]}ing" if short else f"{verb}ing"


def act_forms(act: str) -> list[str]:
    """The ways to say that a subject makes its sound."""
    subject, _, verb = act.rpartition(" ")
    doing = gerund(verb)
    return [
        act, f"{doing} {subject}", f"{subject} {doing}", f"a {subject} {doing}", f"{subject}s {doing}",
        f"a {subject} is {doing}", f"the {verb} of a {subject}", f"the {doing} of a {subject}", f"a {doing} {subject}",
    ]  # fmt: skip


def sound_phrases(n: int, seed: int = 0) -> list[str]:
    """All plain phrases, then `n` framed or combined ones; the held-out paraphrases are left out."""
    rng, frames = Random(seed), items(FRAMES)
    plain = [form for act in items(ACTS) for form in act_forms(act)] + items(THINGS)
    phrases = list(dict.fromkeys(plain))
    for _ in range(n):
        phrase = rng.choice(frames).format(rng.choice(plain))
        if rng.random() < 0.3:
            phrase += rng.choice((" and ", ", ", " with ", " then ", " over ")) + rng.choice(plain)
        phrases.append(phrase)
    held_out = {other for _, other in pairs()}
    return [phrase for phrase in phrases if phrase not in held_out]
