"""The vocabulary of the made-up offerings fits together."""

from __future__ import annotations

import re

import pytest

from sandbox.subjects import CITIES, LICENCES, ORGANISATIONS, SUBJECTS, Subject


@pytest.mark.parametrize("subject", SUBJECTS, ids=[subject.slug for subject in SUBJECTS])
def test_subject_has_a_title_in_the_language_of_each_city(subject: Subject) -> None:
    assert set(subject.titles) == {"en", *(city.language for city in CITIES)}
    assert all(title.strip() == title != "" for title in subject.titles.values())


@pytest.mark.parametrize("subject", SUBJECTS, ids=[subject.slug for subject in SUBJECTS])
def test_subject_has_names_for_iris_and_enough_keywords_to_choose_from(subject: Subject) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", subject.slug)
    assert re.fullmatch(r"[a-z]+", subject.theme)
    assert len(set(subject.keywords)) == len(subject.keywords) >= 4
    assert subject.unit


def test_subjects_cities_and_organisations_are_told_apart() -> None:
    assert len({subject.slug for subject in SUBJECTS}) == len(SUBJECTS)
    assert len({city.name for city in CITIES}) == len({city.wikidata for city in CITIES}) == len(CITIES)
    assert len(set(ORGANISATIONS)) == len(ORGANISATIONS)
    assert all(re.fullmatch(r"Q[1-9][0-9]*", city.wikidata) for city in CITIES)


def test_language_has_one_name() -> None:
    assert len({(city.language, city.language_name) for city in CITIES}) == len({city.language for city in CITIES})


def test_licences_are_absolute_addresses() -> None:
    assert all(re.fullmatch(r"https://[^\s<>]+/", licence) for licence in LICENCES)
