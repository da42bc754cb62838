"""The vocabulary of the made-up offerings, which `offerings.generate` combines."""

from __future__ import annotations

from typing import NamedTuple


class Subject(NamedTuple):
    """Something that a city measures: its slug, its theme, its keywords, and its title by language tag."""

    slug: str
    theme: str
    keywords: tuple[str, ...]
    titles: dict[str, str]
    unit: str


class City(NamedTuple):
    """A city of the sandbox: its name, its entity in Wikidata, and the language of its people by tag and by name."""

    name: str
    wikidata: str
    language: str
    language_name: str


SUBJECTS = (
    Subject(
        "air-quality",
        "environment",
        ("air quality", "nitrogen dioxide", "particulate matter", "ozone", "sensors"),
        {
            "en": "Air quality",
            "es": "Calidad del aire",
            "fr": "Qualité de l'air",
            "it": "Qualità dell'aria",
            "de": "Luftqualität",
            "nl": "Luchtkwaliteit",
            "pt": "Qualidade do ar",
            "fi": "Ilmanlaatu",
        },
        "µg/m³",
    ),
    Subject(
        "bicycle-counters",
        "mobility",
        ("bicycle", "counter", "traffic", "cycling lanes"),
        {
            "en": "Bicycle counters",
            "es": "Contadores de bicicletas",
            "fr": "Compteurs de vélos",
            "it": "Contatori di biciclette",
            "de": "Fahrradzählstellen",
            "nl": "Fietstellers",
            "pt": "Contadores de bicicletas",
            "fi": "Pyörälaskurit",
        },
        "bicycles per hour",
    ),
    Subject(
        "bus-positions",
        "mobility",
        ("bus", "public transport", "real time", "vehicle position", "delay"),
        {
            "en": "Bus positions",
            "es": "Posiciones de los autobuses",
            "fr": "Positions des bus",
            "it": "Posizioni degli autobus",
            "de": "Buspositionen",
            "nl": "Busposities",
            "pt": "Posições dos autocarros",
            "fi": "Bussien sijainnit",
        },
        "seconds of delay",
    ),
    Subject(
        "parking-occupancy",
        "mobility",
        ("parking", "occupancy", "car park", "kerb"),
        {
            "en": "Parking occupancy",
            "es": "Ocupación de aparcamientos",
            "fr": "Occupation des parkings",
            "it": "Occupazione dei parcheggi",
            "de": "Parkplatzbelegung",
            "nl": "Parkeerbezetting",
            "pt": "Ocupação de estacionamentos",
            "fi": "Pysäköintipaikkojen käyttö",
        },
        "free spaces",
    ),
    Subject(
        "drinking-water",
        "water",
        ("drinking water", "turbidity", "chlorine", "pressure", "leak detection"),
        {
            "en": "Drinking water network",
            "es": "Red de agua potable",
            "fr": "Réseau d'eau potable",
            "it": "Rete dell'acqua potabile",
            "de": "Trinkwassernetz",
            "nl": "Drinkwaternet",
            "pt": "Rede de água potável",
            "fi": "Juomavesiverkko",
        },
        "cubic metres per hour",
    ),
    Subject(
        "river-levels",
        "water",
        ("river", "water level", "flood", "gauge"),
        {
            "en": "River levels",
            "es": "Niveles de los ríos",
            "fr": "Niveaux des cours d'eau",
            "it": "Livelli dei fiumi",
            "de": "Pegelstände",
            "nl": "Rivierstanden",
            "pt": "Níveis dos rios",
            "fi": "Jokien vedenkorkeudet",
        },
        "centimetres",
    ),
    Subject(
        "building-energy",
        "energy",
        ("energy", "buildings", "electricity", "heating", "meter"),
        {
            "en": "Energy use of public buildings",
            "es": "Consumo energético de edificios públicos",
            "fr": "Consommation d'énergie des bâtiments publics",
            "it": "Consumo energetico degli edifici pubblici",
            "de": "Energieverbrauch öffentlicher Gebäude",
            "nl": "Energieverbruik van openbare gebouwen",
            "pt": "Consumo de energia de edifícios públicos",
            "fi": "Julkisten rakennusten energiankulutus",
        },
        "kilowatt hours",
    ),
    Subject(
        "solar-roofs",
        "energy",
        ("solar", "photovoltaic", "roof", "renewable energy"),
        {
            "en": "Solar roofs",
            "es": "Tejados solares",
            "fr": "Toitures solaires",
            "it": "Tetti solari",
            "de": "Solardächer",
            "nl": "Zonnedaken",
            "pt": "Telhados solares",
            "fi": "Aurinkokatot",
        },
        "kilowatts",
    ),
    Subject(
        "street-noise",
        "environment",
        ("noise", "sound level", "street", "microphone"),
        {
            "en": "Street noise",
            "es": "Ruido urbano",
            "fr": "Bruit des rues",
            "it": "Rumore stradale",
            "de": "Straßenlärm",
            "nl": "Straatlawaai",
            "pt": "Ruído urbano",
            "fi": "Katumelu",
        },
        "decibels",
    ),
    Subject(
        "waste-containers",
        "waste",
        ("waste", "container", "fill level", "recycling", "collection route"),
        {
            "en": "Fill levels of waste containers",
            "es": "Nivel de llenado de contenedores",
            "fr": "Remplissage des conteneurs à déchets",
            "it": "Riempimento dei cassonetti",
            "de": "Füllstände der Abfallbehälter",
            "nl": "Vulgraad van afvalcontainers",
            "pt": "Enchimento dos contentores de resíduos",
            "fi": "Jäteastioiden täyttöaste",
        },
        "per cent",
    ),
    Subject(
        "crop-irrigation",
        "agriculture",
        ("irrigation", "soil moisture", "crop", "greenhouse"),
        {
            "en": "Crop irrigation",
            "es": "Riego de cultivos",
            "fr": "Irrigation des cultures",
            "it": "Irrigazione delle colture",
            "de": "Bewässerung von Kulturen",
            "nl": "Irrigatie van gewassen",
            "pt": "Rega de culturas",
            "fi": "Viljelykasvien kastelu",
        },
        "litres per square metre",
    ),
    Subject(
        "urban-trees",
        "environment",
        ("tree", "inventory", "canopy", "biodiversity"),
        {
            "en": "Urban trees",
            "es": "Arbolado urbano",
            "fr": "Arbres urbains",
            "it": "Alberi urbani",
            "de": "Stadtbäume",
            "nl": "Stadsbomen",
            "pt": "Árvores urbanas",
            "fi": "Kaupunkipuut",
        },
        "trees",
    ),
)

CITIES = (
    City("Santander", "Q12233", "es", "Spanish"),
    City("Bilbao", "Q8692", "es", "Spanish"),
    City("Lyon", "Q456", "fr", "French"),
    City("Bordeaux", "Q1479", "fr", "French"),
    City("Turin", "Q495", "it", "Italian"),
    City("Bologna", "Q1891", "it", "Italian"),
    City("Vienna", "Q1741", "de", "German"),
    City("Graz", "Q13298", "de", "German"),
    City("Utrecht", "Q803", "nl", "Dutch"),
    City("Ghent", "Q1296", "nl", "Dutch"),
    City("Porto", "Q36433", "pt", "Portuguese"),
    City("Lisbon", "Q597", "pt", "Portuguese"),
    City("Helsinki", "Q1757", "fi", "Finnish"),
    City("Tampere", "Q40840", "fi", "Finnish"),
)

ORGANISATIONS = ("City Council", "Mobility Lab", "Water Works", "Energy Cooperative", "Open Data Office")

LICENCES = (
    "https://creativecommons.org/licenses/by/4.0/",
    "https://creativecommons.org/licenses/by-sa/4.0/",
    "https://creativecommons.org/publicdomain/zero/1.0/",
)
