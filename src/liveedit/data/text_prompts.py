"""Text-only prompts: the alignment keeps the language model's own answers to them.

Training prompts come from templates; the 100 fixed prompts that the unchanged share is measured on
are written out one by one and never trained on.
"""

from __future__ import annotations

from itertools import product

from liveedit.data.emoji_edit.families import FAMILIES

_COUNTRIES = (
    "Spain Italy Germany Japan China India Brazil Canada Mexico Egypt Kenya Greece Norway Sweden "
    "Finland Denmark Poland Portugal Austria Hungary Turkey Iran Iraq Peru Chile Cuba Argentina "
    "Thailand Vietnam Russia Ireland Scotland Belgium Switzerland Nigeria Ghana Morocco Nepal"
).split()
_THINGS = (
    "dog cat horse cow sheep lion tiger elephant monkey rabbit mouse duck eagle owl shark whale "
    "frog snake bee ant spider apple banana orange lemon grape tomato potato carrot onion bread "
    "cheese butter rice pizza cake coffee tea milk wine water car bus train bicycle ship plane "
    "rocket house castle bridge hammer knife spoon clock lamp chair table bed door window book "
    "pencil guitar piano drum hat shoe shirt ring umbrella flower tree leaf grass river mountain "
    "island desert snow rain cloud sun moon star"
).split()
_WORDS = (
    "hot big happy fast old hard light open early full rich strong loud deep wide clean safe true "
    "brave quiet simple young bright cheap heavy long"
).split()
_TOPICS = (
    "gravity democracy evolution inflation photosynthesis electricity friendship justice energy "
    "algebra geometry chemistry history music poetry sleep exercise memory language education"
).split()
_NUMBERS = range(2, 12)

_TEMPLATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("What is the capital of {}?", tuple(_COUNTRIES)),
    ("Which continent is {} in?", tuple(_COUNTRIES)),
    ("What language do people speak in {}?", tuple(_COUNTRIES)),
    ("Tell me something about {}.", tuple(_COUNTRIES)),
    ("What is a {}?", tuple(_THINGS)),
    ("What colour is a {}?", tuple(_THINGS)),
    ("Write a sentence about a {}.", tuple(_THINGS)),
    ("What is the plural of {}?", tuple(_THINGS)),
    ("Where can I find a {}?", tuple(_THINGS)),
    ("What is the opposite of {}?", tuple(_WORDS)),
    ("Use the word {} in a sentence.", tuple(_WORDS)),
    ("Give me a synonym for {}.", tuple(_WORDS)),
    ("What is {}?", tuple(_TOPICS)),
    ("Explain {} to a child.", tuple(_TOPICS)),
    ("Why is {} important?", tuple(_TOPICS)),
    ("What is {}?", tuple(f"{a} plus {b}" for a, b in product(_NUMBERS, (3, 7)))),
    ("Name three {}.", ("fruits", "animals", "colours", "countries", "rivers", "sports", "tools",
                        "planets", "vegetables", "metals", "trees", "birds", "cities")),
    ("{}", ("Hello!", "Hi, who are you?", "Good morning.", "Thank you.", "Can you help me?",
            "What can you do?", "Tell me a joke.", "Are you a robot?", "What is your name?",
            "Write a short poem.", "Tell me a story.", "Give me some advice.", "I am bored.",
            "How do I learn to cook?", "How do I write a letter?", "Who was Albert Einstein?",
            "Who painted the Mona Lisa?", "Who wrote Romeo and Juliet?", "What is water made of?",
            "How many days are in a week?", "How many months are in a year?",
            "Which planet is closest to the sun?", "How far away is the moon?",
            "What do plants need to grow?", "Why do birds fly south?", "How is bread made?")),
)  # fmt: skip

FIXED_PROMPTS: tuple[str, ...] = (
    "What is the capital of France?", "What is the capital of Australia?",
    "What is the capital of England?", "What is the capital of South Korea?",
    "What is the capital of Ukraine?", "What is the capital of Colombia?",
    "Which continent is France in?", "Which continent is Ethiopia in?",
    "Which continent is Indonesia in?", "Which ocean lies between Europe and America?",
    "What language do people speak in France?", "What language do people speak in Colombia?",
    "What is the currency of Japan?", "What is the currency of the United States?",
    "What is the largest planet in the solar system?", "What is the smallest planet?",
    "What is the longest river in the world?", "What is the highest mountain on Earth?",
    "What is the largest ocean?", "What is the largest animal on Earth?",
    "What is the fastest land animal?", "What is the tallest animal?",
    "How many legs does a spider have?", "How many legs does a horse have?",
    "How many hours are in a day?", "How many minutes are in an hour?",
    "How many seconds are in a minute?", "How many weeks are in a year?",
    "How many continents are there?", "How many letters are in the English alphabet?",
    "What is the first month of the year?", "What is the last month of the year?",
    "Which day comes after Monday?", "Which month comes after March?",
    "What is the freezing point of water?", "What is the boiling point of water?",
    "What is the chemical symbol for gold?", "What is the chemical symbol for oxygen?",
    "What is the chemical formula of water?", "What gas do plants absorb?",
    "What gas do humans breathe in?", "What is the speed of light?",
    "What is the square root of 16?", "What is 12 plus 5?", "What is 10 minus 4?",
    "What is 5 times 5?", "What is half of 20?", "What is the opposite of cold?",
    "What is the opposite of small?", "What is the opposite of night?",
    "What is the opposite of up?", "What is the plural of child?", "What is the plural of tooth?",
    "What is the past tense of go?", "What is the past tense of run?",
    "Give me a synonym for smart.", "Give me a synonym for beautiful.",
    "What colour is the sky?", "What colour is blood?", "What colour is a strawberry?",
    "What colour do you get when you mix blue and yellow?", "What is a dolphin?",
    "What is a violin?", "What is a volcano?", "What is a computer?", "What is a doctor?",
    "What is a vegetable?", "What is a triangle?", "What is a hospital?", "What do cows eat?",
    "What do bees make?", "What do we use scissors for?", "What do you wear on your feet?",
    "Where do fish live?", "Where does the sun rise?", "Where do penguins live?",
    "Who wrote Hamlet?", "Who was the first president of the United States?",
    "Who discovered gravity?", "Who invented the telephone?", "Who was Isaac Newton?",
    "Who was Mozart?", "Who painted Starry Night?", "When did World War II end?",
    "In which year did man land on the moon?", "What is photosynthesis used for?",
    "What is economics?", "What is biology?", "What is physics?", "What is a noun?",
    "What is a verb?", "What is an adjective?", "Name three fish.", "Name three continents.",
    "Say hello.", "How are you?", "Who made you?", "Write a sentence about a garden.",
    "Write a sentence about the sea.", "Translate 'thank you' into French.",
)  # fmt: skip


def training_prompts() -> tuple[str, ...]:
    """Prompts whose own answers are kept, and the scene questions asked without a picture."""
    filled = [template.format(word) for template, words in _TEMPLATES for word in words]
    asked = [
        phrasing.format(thing=thing)
        for family in FAMILIES
        for phrasing in family.training
        for thing in (("dog", "apple", "car") if family.names_thing else ("",))
    ]
    return tuple(dict.fromkeys(p for p in filled + asked if p not in FIXED_PROMPTS))
