"""Stores in buckets, on real servers of the protocols of S3 and of Google's storage."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyarrow import fs
from support.buckets import ACCESS, SECRET, Bucket, ask, s3_bucket
from support.storing import Lab, assert_shows, assert_tidy, make_sweep, score
from support.unreliable import FAULTS, Flaky, flaky
from support.waiting import HANG_SECONDS, until

from orchestrator.columns import TABLES
from orchestrator.errors import StoreError
from orchestrator.spec.grid import expand
from orchestrator.store import Store, Writer, bucket, settle
from orchestrator.store.files import TRIES, Files
from orchestrator.store.index import Index
from orchestrator.store.logs import LIMIT

QUICK = ("500", "503", "dropped", "answer lost", "cut short")
"""Faults that cost no waiting."""


@pytest.fixture(params=["s3", "google"])
def any_bucket(request: pytest.FixtureRequest) -> Bucket:
    found: Bucket = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def proxy(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flaky]:
    """Put a proxy between this process and the bucket."""
    with flaky(s3.server) as found:
        monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
        yield found


def test_files_in_a_bucket_are_used_like_those_in_a_folder(any_bucket: Bucket) -> None:
    files = Files(f"{any_bucket.address}/lab/runs/")
    assert files.location == f"{any_bucket.address}/lab/runs"
    assert files.local is None
    assert (files.names("a"), files.folders(), files.read("a/x")) == ([], [], None)
    files.make_folder("a")
    large = os.urandom(25_000_000)
    for name, data in {"a/x": b"one", "a/y": large, "b/c/z": b"", "top": b"t"}.items():
        files.write(name, data)
        assert files.read(name) == data
        assert files.exists(name)
    files.write("a/x", b"other")
    assert files.read("a/x") == b"other"
    assert files.names("a") == ["x", "y"]
    if any_bucket.address.startswith("s3:"):  # the emulator of Google's storage lists none
        assert files.folders() == ["a", "b"]
    files.move("a/x", "corrupt/a/x")
    assert (files.read("a/x"), files.read("corrupt/a/x")) == (None, b"other")
    for _ in range(2):
        files.delete("a/y")
    assert files.names("a") == []
    assert not files.exists("a/y")


def test_a_broken_off_upload_leaves_what_was_there(any_bucket: Bucket) -> None:
    files = Files(any_bucket.address)
    files.write("x", b"whole")

    def break_off() -> None:
        with files.writing("x") as stream:
            stream.write(b"half")
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        break_off()
    assert files.read("x") == b"whole"


def test_a_store_in_a_bucket_is_written_settled_damaged_and_retired(any_bucket: Bucket) -> None:
    lab, sweep = Lab(f"{any_bucket.address}/runs/toy"), make_sweep()
    first, second, third, begun = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, first, second)
    lab.save(sweep, begun)
    assert set(lab.store.snapshot().trials()["trial_id"]) == {
        t.trial_id for t in (first, second, begun)
    }
    settle.settle(lab.store, sweep)
    lab.commit(sweep, third)
    lab.writer.drop_checkpoint(begun.trial_id)
    assert_shows(lab.store, [first, second, third])
    name = f"epochs/{third.trial_id}.parquet"
    damaged = (lab.store.files.read(name) or b"")[:300]
    lab.store.files.write(name, damaged)
    with pytest.warns(UserWarning, match=re.escape(f"{lab.location}/{name} cannot be read")):
        settle.settle(lab.store, sweep)
    assert_shows(lab.store, [first, second])
    assert lab.store.files.read(f"corrupt/{name}") == damaged
    assert settle.retire(lab.store, sweep, {first.trial_id}) == [second.trial_id]
    assert_shows(lab.store, [first])
    assert_shows(Store(f"{lab.location}/retired"), [second])


# Faults


@pytest.mark.parametrize("fault", QUICK)
def test_every_operation_survives_that_one_request_in_five_fails(
    fault: str, s3: Bucket, proxy: Flaky
) -> None:
    proxy.faults, proxy.one_in = (fault,), 5
    files = Files(f"{s3.address}/runs")
    large = os.urandom(11_000_000)
    files.write("large", large)
    for number in range(12):
        name, data = f"a/{number}", str(number).encode() * 5000
        files.write(name, data)
        assert files.read(name) == data
        assert files.exists(name)
        assert not files.exists(f"{name}-not")
        files.move(name, f"b/{number}")
    assert len(files.names("b")) == 12
    assert files.names("a") == []
    assert files.folders() == ["a", "b"] or files.folders() == ["b"]
    for name in files.names("b"):
        files.delete(f"b/{name}")
    assert files.read("large") == large
    assert proxy.dealt.count(fault) > 10


@pytest.mark.parametrize("operation", ["read", "write", "exists", "names"])
def test_a_request_that_stalls_is_tried_again(operation: str, s3: Bucket, proxy: Flaky) -> None:
    files = Files(s3.address)
    files.write("a/x", b"data")
    proxy.requests.clear()
    proxy.faults, proxy.one_in = ("stalled",), 1
    proxy.chance.randrange = lambda _: len(proxy.dealt)  # type: ignore[method-assign]
    calls = {
        "read": lambda: files.read("a/x") == b"data",
        "write": lambda: files.write("a/y", b"data") is None,
        "exists": lambda: files.exists("a/x"),
        "names": lambda: files.names("a") == ["x"],
    }
    assert calls[operation]()
    assert proxy.dealt == ["stalled"]


def test_a_store_is_whole_after_a_tenth_of_all_requests_failed(s3: Bucket, proxy: Flaky) -> None:
    proxy.faults, proxy.one_in = QUICK, 5
    lab, sweep = Lab(f"{s3.address}/runs/toy"), make_sweep()
    trials = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, *trials[:2])
    settle.settle(lab.store, sweep)
    lab.commit(sweep, *trials[2:])
    assert_shows(lab.store, trials)
    settle.settle(lab.store, sweep)
    assert_shows(lab.store, trials)
    assert set(proxy.dealt) == set(QUICK)
    assert set(FAULTS) - set(QUICK) == {"stalled"}


def test_a_connection_that_breaks_is_never_taken_for_damage(s3: Bucket, proxy: Flaky) -> None:
    """Every request for a part of a file fails, so that retries come to their end, too."""
    lab, sweep = Lab(f"{s3.address}/runs/toy"), make_sweep()
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep))
    settle.settle(lab.store, sweep)
    lab.commit(sweep, expand(make_sweep(seeds=(1,)))[0])
    proxy.faults, proxy.one_in = ("503",), 1
    merged = re.compile(r"/epochs/merged-\d+\.parquet")
    real = proxy.meet
    proxy.meet = (  # type: ignore[method-assign]
        lambda method, path: real(method, path) if merged.search(path) else None
    )
    with pytest.raises(StoreError, match=r"epochs/merged-\d+\.parquet: .*(cannot be|AWS Error)"):
        settle.settle(lab.store, make_sweep(seeds=(0, 1)))
    assert lab.store.files.names("corrupt/epochs") == []
    proxy.one_in = 0
    settle.settle(lab.store, make_sweep(seeds=(0, 1)))
    assert len(lab.store.snapshot().trials()) == 5


# What is wrong, in words


def test_a_bucket_that_does_not_exist_is_told_in_words(any_bucket: Bucket) -> None:
    files = Files(f"{any_bucket.address}-not/runs")
    with pytest.raises(StoreError, match=r"-not/runs/x: there is no such bucket; create it"):
        files.write("x", b"data")
    assert files.read("x") is None
    assert files.names("a") == []


def test_no_bucket_is_made(google: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "toy")
    with pytest.raises(StoreError, match=r"-not/runs/a: there is no such bucket; create it"):
        Files(f"{google.address}-not/runs").make_folder("a")


def test_refused_credentials_are_told_in_words(s3: Bucket) -> None:
    files = Files(f"{s3.address}/runs")
    refuse, accept = b"0", b"inf"
    ask(f"http://{s3.server}/moto-api/reset-auth", "POST", refuse)
    try:
        for call in (
            lambda: files.read("x"),
            lambda: files.write("x", b"data"),
            lambda: files.exists("x"),
            lambda: files.names("a"),
            lambda: files.delete("x"),
        ):
            with pytest.raises(StoreError, match="access is refused; set credentials") as told:
                call()
            assert "\n" not in str(told.value)
            assert SECRET not in str(told.value)
            assert ACCESS not in str(told.value)
    finally:
        ask(f"http://{s3.server}/moto-api/reset-auth", "POST", accept)


def test_an_endpoint_that_is_not_there_is_told_in_words(
    s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(bucket, "ATTEMPTS", 2)
    with pytest.raises(StoreError, match="cannot be reached; check the network") as told:
        Files(f"{s3.address}/runs").exists("x")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "address",
    [
        f"s3://{ACCESS}:{SECRET}@bucket/folder",
        f"s3://{ACCESS}:1/{SECRET}@bucket/folder",
        f"s3://bucket/folder?access_key={ACCESS}&secret_key={SECRET}",
        f"s3://bucket/folder#{SECRET}",
        f"s3://bucket@{SECRET}/folder",
        f"gs://user:{SECRET}@bucket/folder",
        f"S3://{ACCESS}:{SECRET}@bucket",
        f"{SECRET}://bucket/folder",
        "s3://",
        "s3:///folder",
    ],
)
def test_an_address_with_a_secret_in_it_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(StoreError, match="not a store's address; expected s3://BUCKET/FOLDER") as e:
        Files(address)
    assert SECRET not in str(e.value)
    assert ACCESS not in str(e.value)
    assert e.value.__cause__ is None


@pytest.mark.parametrize(
    "endpoint", [f"http://{ACCESS}:{SECRET}@127.0.0.1:1", f"http://host/{SECRET}", SECRET]
)
def test_an_endpoint_with_a_secret_in_it_is_refused_without_repeating_it(
    endpoint: str, s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(StoreError, match="AWS_ENDPOINT_URL is not an endpoint; expected") as told:
        Files(s3.address)
    assert SECRET not in str(told.value)


def test_the_endpoint_for_s3_alone_comes_before_the_one_for_all(
    s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.environment["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    files = Files(s3.address)
    files.write("x", b"data")
    assert files.read("x") == b"data"


def test_addresses_open_the_file_systems_of_their_kind(s3: Bucket, google: Bucket) -> None:
    assert isinstance(Files(s3.address).fs, fs.S3FileSystem)
    for scheme in ("gs", "gcs"):
        assert isinstance(Files(f"{scheme}://{google.name}").fs, fs.GcsFileSystem)


# Logs


def test_a_log_in_a_bucket_is_put_once_and_then_when_it_must(
    s3: Bucket, proxy: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.store.logs.PAUSE", HANG_SECONDS)
    store = Store(f"{s3.address}/runs/toy")
    writer = Writer(store)
    for line in range(500):
        writer.log("0123", f"line {line}")
    puts = [path for method, path in proxy.requests if method == "PUT"]
    assert len(puts) == 1
    assert store.files.read("logs/0123.log") == b"line 0\n"
    writer.flush_log()
    text = "".join(f"line {line}\n" for line in range(500))
    assert store.files.read("logs/0123.log") == text.encode()
    Writer(Store(store.files.location)).log("0123", "of another process")
    assert store.files.read("logs/0123.log") == f"{text}of another process\n".encode()


def test_what_waits_of_a_log_is_put_when_the_next_trial_begins(s3: Bucket) -> None:
    store = Store(f"{s3.address}/runs/toy")
    writer = Writer(store)
    for trial_id in ("one", "two"):
        writer.log(trial_id, "first")
        writer.log(trial_id, "second")
    assert store.files.read("logs/one.log") == b"first\nsecond\n"


def test_what_waits_of_a_log_is_put_after_a_pause(
    s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.store.logs.PAUSE", 0.2)
    store = Store(f"{s3.address}/runs/toy")
    writer = Writer(store)
    writer.log("0123", "first")
    writer.log("0123", "second")
    until(lambda: store.files.read("logs/0123.log") == b"first\nsecond\n")


def test_an_endless_log_keeps_its_begin_and_its_end(s3: Bucket) -> None:
    store = Store(f"{s3.address}/runs/toy")
    writer = Writer(store)
    for number in range(5):
        writer.log("0123", f"{number} begins\n{'x' * (LIMIT // 4)}\n{number} ends")
    writer.flush_log()
    text = (store.files.read("logs/0123.log") or b"").decode()
    assert len(text) <= LIMIT + 100
    assert text.startswith("0 begins\n")
    assert text.endswith("4 ends\n")
    assert "left out" in text


def test_a_log_that_cannot_be_put_fails_no_trial_and_goes_with_the_next(
    s3: Bucket, proxy: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "ATTEMPTS", 1)
    bucket._s3.cache_clear()
    store = Store(f"{s3.address}/runs/toy")
    writer = Writer(store)
    writer.log("0123", "first")
    proxy.faults, proxy.one_in = ("500",), 1
    writer.log("0123", "second")
    writer.flush_log()
    proxy.one_in = 0
    writer.flush_log()
    assert store.files.read("logs/0123.log") == b"first\nsecond\n"
    bucket._s3.cache_clear()


# Two drivers at once, since a bucket is not locked


def test_rows_that_another_driver_is_writing_stay(s3: Bucket) -> None:
    lab, sweep = Lab(f"{s3.address}/runs/toy"), make_sweep(factors={"x": (1, 2)})
    done, under_way = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, done, under_way)
    files = lab.store.files
    row = files.read(f"trials/{under_way.trial_id}.parquet")
    assert row
    files.delete(f"trials/{under_way.trial_id}.parquet")
    settle.settle(lab.store, sweep)
    assert_shows(lab.store, [done])
    files.write(f"trials/{under_way.trial_id}.parquet", row)
    assert_shows(lab.store, [done, under_way])
    settle.settle(lab.store, sweep)
    assert_shows(lab.store, [done, under_way])


def test_two_drivers_that_merge_at_once_lose_and_double_nothing(
    s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one merges between what the first one sees and what it reads."""
    lab, sweep = Lab(f"{s3.address}/runs/toy"), make_sweep()
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep)[:3])
    real, overtaken = Index.__init__, []

    def later(index: Index, *arguments: object) -> None:
        real(index, *arguments)  # type: ignore[arg-type]
        if not overtaken and index.committed:
            overtaken.append(True)
            lab.commit(sweep, expand(sweep)[3])
            settle.settle(lab.store, sweep)

    monkeypatch.setattr(Index, "__init__", later)
    settle.settle(lab.store, sweep)
    assert overtaken
    assert_shows(lab.store, expand(sweep))
    settle.settle(lab.store, sweep)
    for table in TABLES:
        assert len(lab.store.files.names(table)) == 2


@pytest.mark.parametrize("after", [None, b"short", b"of equal length", b"longer than the first"])
def test_a_file_that_changes_while_it_is_read_is_whole_or_gone(
    after: bytes | None, s3: Bucket, proxy: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyArrow asks for the length first; then, here, another driver is quicker."""
    files, theirs = Files(f"{s3.address}/runs"), _past(proxy, s3, monkeypatch)
    files.write("x", b"as it was first")

    def change() -> None:
        theirs.delete("x") if after is None else theirs.write("x", after)

    _before_gets(proxy, 1, change, monkeypatch)
    assert files.read("x") == after


def test_a_file_that_changes_at_every_look_is_told_in_words(
    s3: Bucket, proxy: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, theirs = Files(f"{s3.address}/runs"), _past(proxy, s3, monkeypatch)
    files.write("x", b"x")
    lengths = itertools.count(2)
    _before_gets(proxy, TRIES, lambda: theirs.write("x", b"x" * next(lengths)), monkeypatch)
    with pytest.raises(StoreError, match="runs/x keeps changing while it is read"):
        files.read("x")


def _past(proxy: Flaky, s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Reach the bucket as another process would, past the proxy."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{s3.server}")
    files = Files(f"{s3.address}/runs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    return files


def _before_gets(
    proxy: Flaky, times: int, act: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Act just before each of the first requests for a file's content."""
    real, left = proxy.meet, iter(range(times))

    def meet(method: str, path: str) -> str | None:
        if method == "GET" and next(left, None) is not None:
            act()
        return real(method, path)

    monkeypatch.setattr(proxy, "meet", meet)


# Requests


def test_a_trial_lists_no_folder_but_its_own(s3: Bucket, proxy: Flaky) -> None:
    """A folder may hold ten thousand files; a listing of at most one is a look for one."""
    lab, sweep = Lab(f"{s3.address}/runs/toy"), make_sweep()
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep)[:2])
    store, writer, trial = lab.store, lab.writer, expand(sweep)[2]
    proxy.requests.clear()
    assert store.checkpoint(trial.trial_id) is None
    writer.log(trial.trial_id, "begun")
    lab.save(sweep, trial)
    assert store.layout()
    assert not writer.is_finished(trial.trial_id, lambda _: True)
    lab.commit(sweep, trial)
    writer.drop_checkpoint(trial.trial_id)
    writer.flush_log()
    listings = [path for _, path in proxy.requests if "list-type" in path]
    own = f"checkpoints%2F{trial.trial_id}"
    assert all("max-keys=1&" in path or own in path for path in listings), listings
    assert len(proxy.requests) < 30
    assert writer.is_finished(trial.trial_id, lambda digest: digest == "digest")
    assert score(trial.trial_id, 1) in set(store.snapshot().epochs()["score"])


# Names


@pytest.mark.parametrize("name", ["../x", "logs/../../x", "..", "a/../../x"])
def test_no_name_leads_out_of_a_store(name: str, tmp_path: Path) -> None:
    files = Files(str(tmp_path / "store"))
    for call in (
        lambda: files.read(name),
        lambda: files.write(name, b"data"),
        lambda: files.append(name, "text"),
        lambda: files.delete(name),
        lambda: files.names(name),
        lambda: files.move("logs/a.log", name),
        lambda: files.move(name, "retired/a.log"),
    ):
        with pytest.raises(StoreError, match="is not the name of a file in it"):
            call()


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    lab, sweep = Lab(str(tmp_path / "toy")), make_sweep(factors={"x": (1,)})
    (trial,) = expand(sweep)
    lab.prepare(sweep)
    private = tmp_path / "private"
    private.write_text("mine")
    for name in (f"trials/{trial.trial_id}.parquet", f"logs/{trial.trial_id}.log"):
        (lab.folder / name).symlink_to(private)
    lab.commit(sweep, trial)
    assert_tidy_single(lab, trial.trial_id)
    with pytest.raises(StoreError, match="cannot be written"):
        lab.writer.log(trial.trial_id, "text")
    assert private.read_text() == "mine"
    settle.settle(lab.store, sweep)
    assert_tidy(lab, [trial])


def assert_tidy_single(lab: Lab, trial_id: str) -> None:
    path = lab.folder / f"trials/{trial_id}.parquet"
    assert path.is_file()
    assert not path.is_symlink()


def test_a_bucket_of_its_own_is_made_for_each_test(s3_server: str) -> None:
    assert s3_bucket(s3_server).name != s3_bucket(s3_server).name
