"""Where folders for resource limits are made, in every arrangement of hierarchies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ringfence.sandbox import cgroups


class Tree:
    """A /proc and a /sys in a folder, with plain files where the kernel has its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "proc/self").mkdir(parents=True)
        self.mounts: list[str] = []
        self.own: list[str] = []
        self._write()

    def version_1(self, name: str, *, own: str = "/", writable: bool = True) -> Path:
        folder = self._mount(name, "cgroup", f"rw,{name}")
        self.own.append(f"{len(self.own) + 1}:{name}:{own}")
        self._write()
        self.group(folder, writable=writable)
        return folder

    def version_2(self, *, own: str, controllers: str = "cpu io memory pids") -> Path:
        folder = self._mount("unified", "cgroup2", "rw,nsdelegate")
        self.own.append(f"0::{own}")
        self._write()
        self.group(folder, controllers, writable=False)
        return folder

    def group(self, folder: Path, controllers: str | None = None, *, writable: bool = True) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.procs").touch()
        if controllers is not None:
            (folder / "cgroup.controllers").write_text(controllers)
            (folder / "cgroup.subtree_control").write_text(controllers)
        (folder / "cgroup.procs").chmod(0o644 if writable else 0o444)
        return folder

    def _mount(self, name: str, kind: str, options: str) -> Path:
        self.mounts.append(f"x /sys/fs/cgroup/{name} {kind} {options} 0 0")
        return self.root / "sys/fs/cgroup" / name

    def _write(self) -> None:
        (self.root / "proc/self/mounts").write_text("\n".join(["proc /proc proc rw 0 0", *self.mounts]))
        (self.root / "proc/self/cgroup").write_text("\n".join(self.own))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    def by_mode(path: Path | str, _: int) -> bool:  # root may write everything, so ask the mode
        return Path(path).exists() and bool(Path(path).stat().st_mode & 0o200)

    monkeypatch.setattr(os, "access", by_mode)
    return Tree(tmp_path)


def _made(tree: Tree) -> list[str]:
    return [str(Path(folder).relative_to(tree.root / "sys/fs/cgroup")) for folder in cgroups.prepare("12345678", tree.root)]


def test_version_1_gets_a_folder_in_each_hierarchy(tree: Tree) -> None:
    for name in ("cpu", "memory", "pids", "devices"):
        tree.version_1(name)
    assert _made(tree) == ["cpu/ringfence-12345678", "memory/ringfence-12345678", "pids/ringfence-12345678"]


def test_version_1_falls_back_to_the_own_group(tree: Tree) -> None:
    memory = tree.version_1("memory", own="/delegated/here", writable=False)
    tree.group(memory / "delegated/here")
    assert _made(tree) == ["memory/delegated/here/ringfence-12345678"]


def test_version_1_without_a_right_gets_nothing(tree: Tree) -> None:
    tree.version_1("memory", own="/other", writable=False)
    assert _made(tree) == []


def test_version_2_gets_one_folder_beside_the_own_group(tree: Tree) -> None:
    top = tree.version_2(own="/user.slice/app.slice/terminal.scope")
    tree.group(top / "user.slice", "cpu memory pids", writable=False)
    tree.group(top / "user.slice/app.slice", "cpu memory pids")
    tree.group(top / "user.slice/app.slice/terminal.scope", "")
    assert _made(tree) == ["unified/user.slice/app.slice/ringfence-12345678"]
    control = top / "user.slice/app.slice/ringfence-12345678/cgroup.subtree_control"
    assert control.read_text() == "+memory +cpu +pids"


def test_version_2_where_a_controller_is_not_shared_out_gets_nothing(tree: Tree) -> None:
    top = tree.version_2(own="/app.slice/terminal.scope")
    tree.group(top / "app.slice", "memory pids")
    assert _made(tree) == []


def test_a_hybrid_without_controllers_on_version_2_uses_version_1(tree: Tree) -> None:
    tree.version_2(own="/", controllers="hugetlb")
    tree.version_1("memory")
    assert _made(tree) == ["memory/ringfence-12345678"]


def test_folders_are_found_again_and_removed_with_what_is_below(tree: Tree) -> None:
    tree.version_1("memory")
    made = cgroups.prepare("12345678", tree.root)
    (Path(made[0]) / "pod" / "inner").mkdir(parents=True)
    assert cgroups.leftovers("12345678", tree.root) == made
    assert cgroups.leftovers("87654321", tree.root) == ()
    cgroups.remove(made, patience_s=0)
    assert cgroups.leftovers("12345678", tree.root) == ()
    cgroups.remove(made, patience_s=0)


def test_a_folder_that_is_in_use_is_an_error_and_not_a_silence(tree: Tree) -> None:
    memory = tree.version_1("memory")
    with pytest.raises(OSError, match="not empty"):
        cgroups.remove([str(memory)], patience_s=0.02)
