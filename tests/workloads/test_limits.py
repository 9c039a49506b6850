"""Control groups of both versions, on folders that look like them; the kernel's own are in the tests of workloads."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringfence.drivers.linux.cgroups import CgroupError, Cgroups, Limits
from ringfence.drivers.linux.folders import slug, tail

LIMITS = Limits(memory_mb=64, cpu=0.5, processes=10)


def group(parent: Path, name: str, *files: str) -> Path:
    """What the kernel puts into a new group."""
    folder = parent / name
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).touch()
    return folder


def values(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file() and path.read_text()}


def test_version_2_has_one_folder_for_all(tmp_path: Path) -> None:
    parent = group(tmp_path, "own", "cgroup.subtree_control")
    (parent / "cgroup.controllers").write_text("cpuset cpu memory pids\n")
    child = group(parent, "pod-a", "memory.max", "memory.swap.max", "memory.oom.group", "cpu.max", "pids.max", "cgroup.procs")
    groups = Cgroups([str(parent)])
    assert groups.enforced and groups.make("pod-a", LIMITS) == (str(child),)
    assert values(parent)["cgroup.subtree_control"] == "+memory +cpu +pids"
    wanted = {
        "memory.max": "67108864",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "cpu.max": "50000 100000",
        "pids.max": "10",
    }
    assert values(child) == wanted


def test_version_1_has_one_folder_per_controller(tmp_path: Path) -> None:
    memory = group(tmp_path, "memory", "memory.limit_in_bytes")
    cpu = group(tmp_path, "cpu", "cpu.cfs_quota_us")
    group(memory, "pod-a", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    group(cpu, "pod-a", "cpu.cfs_period_us", "cpu.cfs_quota_us")
    groups = Cgroups([str(memory), str(cpu)])
    assert groups.enforced and len(groups.make("pod-a", LIMITS)) == 2
    assert values(memory / "pod-a") == {"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "67108864"}
    assert values(cpu / "pod-a") == {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}


def test_no_limit_of_processors_and_a_tiny_one(tmp_path: Path) -> None:
    cpu = group(tmp_path, "cpu")
    for name in ("pod-a", "pod-b"):
        group(cpu, name, "cpu.cfs_period_us", "cpu.cfs_quota_us")
    groups = Cgroups([str(cpu)])
    groups.make("pod-a", Limits(memory_mb=1, cpu=0, processes=1))
    groups.make("pod-b", Limits(memory_mb=1, cpu=0.001, processes=1))
    assert values(cpu / "pod-a") == {} and values(cpu / "pod-b")["cpu.cfs_quota_us"] == "1000"
    assert not groups.enforced, "of memory"


def test_without_folders_nothing_is_made_and_nothing_pretended() -> None:
    groups = Cgroups([])
    assert not groups.enforced and groups.make("pod-a", LIMITS) == ()
    groups.sweep(frozenset())


def test_a_limit_that_cannot_be_set_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    group(tmp_path, "memory/pod-a").joinpath("memory.limit_in_bytes").mkdir()
    with pytest.raises(CgroupError, match=r"memory\.limit_in_bytes"):
        Cgroups([str(tmp_path / "memory")]).make("pod-a", LIMITS)


def test_only_our_own_unwanted_groups_are_removed(tmp_path: Path) -> None:
    for name in ("pod-a-1", "pod-b-2", "router-c-3", "someone-else"):
        group(tmp_path, name)
    Cgroups([str(tmp_path)]).sweep({"pod-a-1"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pod-a-1", "someone-else"]


@pytest.mark.parametrize("key", ["pod/../x", "../x", "pod/", "pod/a/b", "pod/a\0", "pod/..", "", "pod/" + "x" * 300])
def test_a_key_becomes_a_file_name_or_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        slug(key)
    assert slug("pod/0a1b2c-0") == "pod-0a1b2c-0"


def test_the_newest_of_a_log_over_two_files(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    assert tail(path, 10) == ""
    path.write_text("newer")
    (tmp_path / "a.log.1").write_text("older-")
    assert (tail(path, 100), tail(path, 7), tail(path, 3)) == ("older-newer", "r-newer", "wer")
