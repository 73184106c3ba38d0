"""The words the demo is told in: invented companies and people, by country.

Belongs here: word lists, and putting names together from them. Does not belong here: who buys, pays or owes (`population.py`).
Every company and person is made up; addresses end in `.example`, which nobody can own.
"""

from __future__ import annotations

import unicodedata
from random import Random


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_STEMS = _words(
    "Vel Nord Kal Brand Ost Hal Mer Tal Zell Wies Grün Lüne Böh Kös Äsch Thür Rav Sol Cor Lin Mont Var Ard Bel Cast Dor Elb Fal Garn "
    "Hax Ing Jor Kest Lark Mav Nev Orl Pent Quell Rost Sand Tarn Ulm Vind Wex Yar Zan Ask Bir Col Dray Ever Fen Gil Har Isl Kor"
)
_ENDINGS = _words(
    "dorf berg mar vik holm stein brück feld wick mont ville ton field ford land haven well mark gate worth burg rath by hurst lund "
    "more quist stad tal via"
)
_TRADES = {
    "de": _words(
        "Maschinenbau Antriebe Fördertechnik Metallbau Logistik Werkzeuge Pumpen Hydraulik Automation Verpackung Lebensmittel "
        "Holzwerke Kunststoffe Anlagenbau Elektrotechnik Gebäudetechnik Agrar Papier Medizintechnik Bau"
    ),
    "fr": _words("Industrie Mécanique Transports Emballage Énergie Équipements Logistique Agroalimentaire Systèmes Outillage"),
    "it": _words("Meccanica Impianti Trasporti Alimentari Macchine Idraulica Legno Plastica Costruzioni Ceramiche"),
    "es": _words("Maquinaria Logística Envases Alimentación Energía Industrial Construcciones Ingeniería Suministros Frutas"),
    "en": _words(
        "Manufacturing Logistics Packaging Foods Tooling Energy Engineering Components Supply Automation Building Services Marine "
        "Plastics Hydraulics Controls Conveyors Timber Steel Medical"
    ),
    "nl": _words("Techniek Logistiek Machines Verpakkingen Voeding Installaties Metaal Transport Bouw Agro"),
    "pl": _words("Maszyny Logistyka Opakowania Energia Produkcja Transport Meble Stal Budowa Spożywcze"),
    "sv": _words("Maskin Logistik Verktyg Energi Industri Teknik Skog Bygg Livs Marin"),
}

COUNTRIES = {
    # language, legal forms, dialling code, VAT number pattern (# is a digit)
    "DE": ("de", ("GmbH", "GmbH & Co. KG", "AG", "KG"), "+49 30", "DE#########"),
    "AT": ("de", ("GmbH", "AG"), "+43 1", "ATU########"),
    "CH": ("de", ("AG", "GmbH"), "+41 44", "CHE#########"),
    "FR": ("fr", ("SAS", "SARL", "SA"), "+33 1", "FR###########"),
    "BE": ("fr", ("SA", "SRL"), "+32 2", "BE0#########"),
    "NL": ("nl", ("B.V.", "N.V."), "+31 20", "NL#########B01"),
    "IT": ("it", ("S.r.l.", "S.p.A."), "+39 02", "IT###########"),
    "ES": ("es", ("S.L.", "S.A."), "+34 91", "ESB########"),
    "PL": ("pl", ("Sp. z o.o.", "S.A."), "+48 22", "PL##########"),
    "SE": ("sv", ("AB",), "+46 8", "SE##########01"),
    "GB": ("en", ("Ltd", "plc", "LLP"), "+44 20", "GB#########"),
    "US": ("en", ("Inc.", "LLC", "Corp.", "Co."), "+1 312", "##-#######"),
    "CA": ("en", ("Inc.", "Ltd."), "+1 416", "#########RT0001"),
    "SA": ("en", ("LLC", "Est.", "Closed JSC"), "+966 11", "3##############"),
    "KW": ("en", ("W.L.L.", "K.S.C."), "+965", "########"),
}

_FIRST = _words(
    "Anna Jonas Lea Paul Mia Felix Clara David Nora Lukas Sofie Emil Ida Hugo Marta Pavel Elena Marco Chloé Louis Emma Oliver Grace "
    "Henry Ruth Samuel Alice Peter Carmen Diego Ingrid Nils Katarzyna Tomasz Femke Daan Renée Björn Aoife Liam"
)
_LAST = _words(
    "Berger Kessler Lindner Vogt Hartwig Sommer Reuter Krüger Möller Faber Moreau Laurent Girard Rossi Conti Ferri Navarro Vidal "
    "Nowak Zielinski Larsson Ekholm Dekker Bakker Whitfield Harper Collins Doyle Abbott Carver Jennings Prescott Osgood Weber "
    "Albrecht Thorne Mercer Langley Sinclair Roth"
)

ODD_NAMES = ("=Plus Handels GmbH", "+Vision Optik AG", "@Home Werkstätten GmbH", "-Grad Kältetechnik GmbH")
"""Names a spreadsheet would take for a formula; real ledgers have some."""


def company(rng: Random, country: str) -> str:
    language, forms, _, _ = COUNTRIES[country]
    stem = rng.choice(_STEMS) + rng.choice(_ENDINGS)
    return f"{stem} {rng.choice(_TRADES[language])} {rng.choice(forms)}"


def person(rng: Random) -> str:
    return f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"


def phone(rng: Random, country: str) -> str:
    return f"{COUNTRIES[country][2]} 555 {rng.randrange(10_000):04d}"


def registration(rng: Random, country: str) -> str:
    return "".join(str(rng.randrange(10)) if mark == "#" else mark for mark in COUNTRIES[country][3])


def ascii_word(text: str) -> str:
    """Lower-case letters of a name, as a mail domain spells it."""
    for umlaut, spelt in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss"), ("Ä", "ae"), ("Ö", "oe"), ("Ü", "ue")):
        text = text.replace(umlaut, spelt)
    plain = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in plain.lower() if "a" <= letter <= "z")


def domain(company_name: str) -> str:
    words = [ascii_word(word) for word in company_name.split()]
    return "-".join(word for word in words[:2] if word) + ".example"
