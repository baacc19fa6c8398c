"""One table in every back end, as files, parts and shards: the same certificate, or the same error."""

from __future__ import annotations

import json
import shutil
import warnings
from itertools import pairwise

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fairbound
from fairbound.bounds.errors import (
    AlphabetError,
    EmptyInputError,
    FileFormatError,
    MissingValueError,
    MixedTypesError,
    ScoresError,
    UnknownColumnError,
)

GENERATOR = np.random.default_rng(23)
N = 900
LABELS = GENERATOR.integers(0, 2, N).tolist()
GUESSES = [y if keep else 1 - y for y, keep in zip(LABELS, GENERATOR.random(N) < 0.7, strict=True)]
GROUPS = GENERATOR.choice(["f", "Ü, \u4e2d", 'm "x"'], N).tolist()
COLUMNS = {"label": LABELS, "prediction": GUESSES, "group": GROUPS}


def with_null(column, null=None):
    values = list(COLUMNS[column])
    values[N // 2] = null
    return {**COLUMNS, column: values}


# Tables that a CSV file, which has no types, reads alike.
TABLES = {
    "integers and unicode": COLUMNS,
    "integral floats": {**COLUMNS, "label": list(map(float, LABELS)), "prediction": [g / 1 for g in GUESSES]},
    "booleans": {**COLUMNS, "label": list(map(bool, LABELS)), "prediction": list(map(bool, GUESSES))},
    "booleans and floats": {**COLUMNS, "label": list(map(bool, LABELS)), "prediction": list(map(float, GUESSES))},
    "integer groups": {**COLUMNS, "group": [float(len(group)) for group in GROUPS]},
    "a label that is only predicted": {**COLUMNS, "prediction": [2, *GUESSES[1:]]},
}
TEXT_DIGITS = {**COLUMNS, "label": list(map(str, LABELS)), "prediction": list(map(str, GUESSES))}
INTERSECTION = {
    **COLUMNS,
    "sex": GENERATOR.choice(["F", "M"], N).tolist(),
    "age": GENERATOR.choice([1.0, 2.0], N).tolist(),
}


@pytest.fixture(scope="session")
def spark():
    pyspark = pytest.importorskip("pyspark")
    if shutil.which("java") is None:
        pytest.skip("PySpark needs Java")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
        builder = pyspark.sql.SparkSession.builder.master("local[2]").appName("fairbound")
        for option, value in {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": "2",
        }.items():
            builder = builder.config(option, value)
        session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def as_dask(columns, partitions=3, **settings):
    dask = pytest.importorskip("dask")
    dataframe = pytest.importorskip("dask.dataframe")
    with dask.config.set(settings):
        return dataframe.from_pandas(pd.DataFrame(columns), npartitions=partitions)


FRAMES = {
    "pandas": pd.DataFrame,
    "pandas nullable": lambda columns: pd.DataFrame(columns).convert_dtypes(),
    "pandas arrow": lambda columns: pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype),
    "pandas objects": lambda columns: pd.DataFrame(columns, dtype=object),
    "polars": pl.DataFrame,
    "polars lazy": pl.LazyFrame,
    "pyarrow": pa.table,
    "duckdb": lambda columns: duckdb.from_arrow(pa.table(columns)),
    "dask": as_dask,
    "ibis": lambda columns: pytest.importorskip("ibis").memtable(pa.table(columns)),
    "pyspark": None,
}
EVERY_FRAME = [pytest.param(name, marks=pytest.mark.slow if name == "pyspark" else ()) for name in FRAMES]


@pytest.fixture
def make(request):
    """From a mapping of columns to a frame of the named back end."""

    def build(backend):
        if backend != "pyspark":
            return FRAMES[backend]
        session = request.getfixturevalue("spark")
        return lambda columns: session.createDataFrame(pa.table(columns)).repartition(3)

    return build


def text_of(counts):
    """All that a certificate depends on, with the types of its symbols."""
    return json.dumps(counts.to_dict())


def from_arrays(columns, group=("group",)):
    features = {name: columns[name] for name in group}
    return text_of(fairbound.Counts.from_arrays(columns["label"], columns["prediction"], sensitive_features=features))


@pytest.mark.parametrize("backend", EVERY_FRAME)
@pytest.mark.parametrize("table", [*TABLES, "text digits"])
def test_every_back_end_gives_the_same_counts(table, backend, make):
    columns = {**TABLES, "text digits": TEXT_DIGITS}[table]
    assert text_of(fairbound.count_frame(make(backend)(columns))) == from_arrays(columns)


def write_csv(columns, path):
    pd.DataFrame(columns).to_csv(path, index=False)


def write_parquet(columns, path):
    pq.write_table(pa.table(columns), path)


def parts(columns):
    cuts = (0, 1, 400, N)
    return [{name: v[a:b] for name, v in columns.items()} for a, b in pairwise(cuts)]


def write_all(columns, folder, group="group"):
    """A table as whole files, as parts of it, and as shards of counts; what names each container's files."""
    write_csv(columns, folder / "whole.csv")
    write_parquet(columns, folder / "whole.parquet")
    for number, part in enumerate(parts(columns)):
        write_csv(part, folder / f"part{number}.csv")
        write_parquet(part, folder / f"part{number}.parquet")
        for kind in ("csv", "parquet"):
            fairbound.write_counts(folder / f"{kind}{number}.json", folder / f"part{number}.{kind}", group=group)
    return [
        folder / "whole.csv",
        folder / "whole.parquet",
        folder / "part*.csv",
        folder / "part*.parquet",
        [folder / name for name in ("part0.csv", "part1.parquet", "csv2.json")],
        [folder / name for name in ("parquet0.json", "csv1.json", "part2.csv")],
        folder / "csv?.json",
        [folder / "parquet[12].json", folder / "parquet0.json"],
    ]


@pytest.mark.parametrize("table", TABLES)
def test_files_parts_and_shards_give_the_same_counts(table, tmp_path):
    for paths in write_all(TABLES[table], tmp_path):
        assert text_of(fairbound.count_files(paths)) == from_arrays(TABLES[table]), paths


@pytest.mark.parametrize("backend", [*EVERY_FRAME, "files"])
def test_every_container_gives_the_same_certificate_bit_for_bit(backend, make, tmp_path):
    columns = {**COLUMNS, "group": [group == "f" for group in GROUPS]}
    expected = fairbound.certify(LABELS, GUESSES, sensitive_features=[int(group == "f") for group in GROUPS])
    expected.certificate().write(tmp_path / "expected")
    if backend == "files":
        columns["group"] = list(map(int, columns["group"]))
        results = map(fairbound.certify_log, write_all(columns, tmp_path))
    else:
        results = [fairbound.certify_frame(make(backend)(columns))]
    for result in results:
        result.certificate().write(tmp_path / "found")
        assert (tmp_path / "found").read_bytes() == (tmp_path / "expected").read_bytes()


@pytest.mark.parametrize("backend", EVERY_FRAME)
def test_intersections_are_the_same_in_every_back_end(backend, make):
    group = ["sex", "group", "age"]
    expected = from_arrays(INTERSECTION, group)
    assert text_of(fairbound.count_frame(make(backend)(INTERSECTION), group=group)) == expected
    assert '"F & \\u00dc, \\u4e2d & 2"' in expected


def test_intersections_are_the_same_in_files_and_shards(tmp_path):
    group = ["sex", "group", "age"]
    for paths in write_all(INTERSECTION, tmp_path, group):
        assert text_of(fairbound.count_files(paths, group=group)) == from_arrays(INTERSECTION, group), paths


CATEGORICALS = {
    "pandas": lambda values, levels: pd.DataFrame({**COLUMNS, "group": pd.Categorical(values, levels)}),
    "dask": lambda values, levels: as_dask({**COLUMNS, "group": pd.Categorical(values, levels)}),
    "dask, unknown": lambda values, levels: as_dask({**COLUMNS, "group": pd.Categorical(values, levels)}).assign(
        group=lambda f: f["group"].cat.as_unknown()
    ),
    "polars": lambda values, levels: pl.DataFrame(COLUMNS).with_columns(pl.col("group").cast(pl.Enum(levels))),
    "pyarrow": lambda values, levels: pa.table({**COLUMNS, "group": dictionary(values, levels)}),
    "duckdb": lambda values, levels: duckdb.from_arrow(pa.table({**COLUMNS, "group": dictionary(values, levels)})),
    "ibis": lambda values, levels: pytest.importorskip("ibis").memtable(
        pa.table({**COLUMNS, "group": dictionary(values, levels)})
    ),
}


def dictionary(values, levels):
    return pa.DictionaryArray.from_arrays(pa.array([levels.index(v) for v in values], pa.int32()), levels)


@pytest.mark.parametrize("backend", CATEGORICALS)
def test_unused_categories_are_no_groups(backend):
    levels = ["unused", *sorted(set(GROUPS)), "also unused"]
    assert text_of(fairbound.count_frame(CATEGORICALS[backend](GROUPS, levels))) == from_arrays(COLUMNS)


BROKEN = {
    "NULL label": (with_null("label"), MissingValueError, "column 'label' holds missing"),
    "NULL prediction": (with_null("prediction"), MissingValueError, "column 'prediction' holds missing"),
    "NULL group": (with_null("group"), MissingValueError, "column 'group' holds missing"),
    "NULL boolean": (
        {**COLUMNS, "label": [None, *map(bool, LABELS[1:])]},
        MissingValueError,
        "column 'label' holds missing",
    ),
    "NaN": (
        {**COLUMNS, "prediction": [*map(float, GUESSES[1:]), float("nan")]},
        MissingValueError,
        "column 'prediction' holds missing",
    ),
    "scores": (
        {**COLUMNS, "prediction": [0.25, *map(float, GUESSES[1:])]},
        ScoresError,
        "column 'prediction' holds 0.25",
    ),
    "infinity": (
        {**COLUMNS, "label": [float("inf"), *map(float, LABELS[1:])]},
        ScoresError,
        "column 'label' holds inf",
    ),
    "texts like NULL": (
        with_null("group", "N/A"),
        MissingValueError,
        "column 'group' holds missing values \\('N/A'\\)",
    ),
    "an identifier": (
        {**COLUMNS, "group": [10**18 + i for i in range(N)]},
        AlphabetError,
        "column 'group'.*identifier",
    ),
    "too many groups": (
        {name: values * 5 for name, values in COLUMNS.items()} | {"group": list(range(5 * N))},
        AlphabetError,
        "column 'group' takes more than 4096",
    ),
    "no common value": ({**COLUMNS, "label": [y + 5 for y in LABELS]}, AlphabetError, "column 'label'.*in common"),
    "no rows": (None, EmptyInputError, "no rows"),
    "an absent column": ({"label": LABELS, "prediction": GUESSES, "groups": GROUPS}, UnknownColumnError, "'group'"),
}
BROKEN_FOR_TYPES = {
    "kinds": ({**COLUMNS, "label": list(map(str, LABELS))}, MixedTypesError, "column 'label' and column 'prediction'"),
    "bytes": ({**COLUMNS, "group": [g.encode() for g in GROUPS]}, AlphabetError, "column 'group' holds.*bytes"),
    "lists": ({**COLUMNS, "group": [[g] for g in GROUPS]}, AlphabetError, "column 'group' holds lists"),
    "structures": ({**COLUMNS, "group": [{"g": g} for g in GROUPS]}, AlphabetError, "column 'group' holds lists"),
}


@pytest.mark.parametrize("backend", EVERY_FRAME)
@pytest.mark.parametrize("case", [*BROKEN, *BROKEN_FOR_TYPES])
def test_every_back_end_refuses_the_same_tables_by_the_same_error(case, backend, make):
    columns, error, message = {**BROKEN, **BROKEN_FOR_TYPES}[case]
    if backend == "dask" and case in ("bytes", "lists", "structures"):
        columns = {"columns": columns, "dataframe.convert-string": False}
        frame = as_dask(columns.pop("columns"), **columns)
    elif columns is None:
        frame = make(backend)(COLUMNS)
        frame = frame.limit(0) if hasattr(frame, "limit") else frame.head(0) if backend != "pyarrow" else frame.slice(N)
        if backend == "dask":
            frame = as_dask({name: pd.Series(values)[:0] for name, values in COLUMNS.items()}, partitions=1)
    else:
        frame = make(backend)(columns)
    with pytest.raises(error, match=message) as caught:
        fairbound.count_frame(frame)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("case", BROKEN)
def test_files_refuse_the_same_tables_by_the_same_error(case, kind, tmp_path):
    columns, error, message = BROKEN[case]
    write = write_csv if kind == "csv" else write_parquet
    columns = {name: values[:0] for name, values in COLUMNS.items()} if columns is None else columns
    write(columns, tmp_path / f"log.{kind}")
    with pytest.raises(error, match=message):
        fairbound.count_file(tmp_path / f"log.{kind}")


@pytest.mark.parametrize(
    "frame",
    [
        lambda columns: pd.DataFrame(columns, dtype=object),
        lambda columns: pl.DataFrame({n: pl.Series(v, dtype=pl.Object) for n, v in columns.items()}),
        lambda columns: as_dask(columns, **{"dataframe.convert-string": False}),
    ],
    ids=["pandas", "polars", "dask"],
)
def test_columns_of_mixed_objects(frame):
    same = {**COLUMNS, "label": [[bool, int, float][i % 3](y) for i, y in enumerate(LABELS)]}
    assert text_of(fairbound.count_frame(frame(same))) == from_arrays(same) == from_arrays(COLUMNS)
    for mixed in ("0", "a"):
        with pytest.raises(MixedTypesError, match="column 'label' mixes text"):
            fairbound.count_frame(frame({**COLUMNS, "label": [mixed, *LABELS[1:]]}))


def test_a_frame_that_its_back_end_cannot_compute_is_one_line():
    frame = pl.LazyFrame({**COLUMNS, "label": ["a"] * N}).with_columns(pl.col("label").cast(pl.Int64))
    relation = duckdb.sql("SELECT CAST(x AS INT) AS label, 1 AS prediction, 1 AS \"group\" FROM (SELECT 'a' AS x)")
    for broken in (frame, relation):
        with pytest.raises(FileFormatError, match="cannot be computed") as caught:
            fairbound.count_frame(broken)
        assert "\n" not in str(caught.value)


def test_only_counts_are_collected_from_a_lazy_frame(monkeypatch):
    collected = []
    collect = pl.LazyFrame.collect

    def spy(self, *arguments, **options):
        frame = collect(self, *arguments, **options)
        collected.append(frame.height)
        return frame

    monkeypatch.setattr(pl.LazyFrame, "collect", spy)
    fairbound.count_frame(pl.LazyFrame(COLUMNS))
    assert collected == [12]


def test_a_missing_package_is_named(monkeypatch):
    import narwhals as nw

    def lacking(self, *_, **__):
        raise ModuleNotFoundError("No module named 'pyarrow'")

    monkeypatch.setattr(nw.LazyFrame, "collect", lacking)
    with pytest.raises(FileFormatError, match=r"pyarrow.*fairbound\[backends\]"):
        fairbound.count_frame(duckdb.from_arrow(pa.table(COLUMNS)))
