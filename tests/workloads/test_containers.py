"""Containers from an image's root: locked in, alive as their policy says, with logs, volumes, limits and terminals."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import shells

from ringfence.desired.state import Container, Readiness, Volume
from ringfence.drivers.linux import instances, processes
from ringfence.drivers.linux.containers import Containers
from ringfence.drivers.linux.folders import tail

if TYPE_CHECKING:
    from tests.workloads.process_world import ENDPOINT, World, until
else:
    from process_world import ENDPOINT, World, until

#: Until it is told to stop; the first process of a PID namespace heeds only what it asked for.
_STAY = "trap 'exit 0' TERM; while :; do sleep 0.05; done"


@dataclass(frozen=True)
class Image:
    """What the tests' root says of itself."""

    root: Path
    user: str = ""
    directory: str = "/srv"
    entrypoint: tuple[str, ...] = ("sh", "-c")
    command: tuple[str, ...] = (f"echo hello from $NAME; {_STAY}",)
    variables: dict[str, str] = field(default_factory=lambda: {"NAME": "image", "PATH": "/bin"})


class Host:
    """Containers of one world."""

    def __init__(self, world: World, image: Callable[[Path], Image] = Image) -> None:
        self.world = world
        self.image = image(shells.root(world.folders.state / "images" / "one" / "rootfs"))
        self.containers = Containers(world.folders, world.cgroups, world.namespace, lambda _: self.image)

    def start(self, *command: str, key: str = "ctr/group-app", **more: object) -> Container:
        values: dict[str, object] = {"cpu": 1.0, "memory_mb": 128, "restart": "Never", **more}
        item = Container(
            key=key, endpoint=ENDPOINT, group="grp/group", container=key.rpartition("-")[2], image="img/one", command=command,
            **values,  # type: ignore[arg-type]
        )  # fmt: skip
        assert self.containers.put(item) is None
        return item

    def ran(self, script: str, **more: Any) -> str:
        """What a script prints, once it has ended."""
        item = self.start("sh", "-c", script, **more)
        until(lambda: self.status(item.key).state == "ended")
        return self.log(item.key)

    def status(self, key: str) -> processes.Status:
        return processes.scan(self.world.folders.statuses, key)[key][0].status

    def log(self, key: str) -> str:
        return tail(self.world.folders.log(key), 10_000)


def test_an_image_runs_as_it_says_with_its_output_kept(world: World) -> None:
    host = Host(world)
    item = host.start()
    until(lambda: host.log(item.key) == "hello from image\n")
    seen = host.containers.observe()[item.key]
    assert (seen.readiness, seen.fingerprint) == (Readiness.READY, item.fingerprint)
    assert instances.of(host.status(item.key)).state == "Running"
    host.containers.drop(item.key)
    until(lambda: not host.containers.alive(frozenset({item.key})))


def test_the_root_is_the_image_and_nothing_of_the_machine(world: World) -> None:
    host = Host(world)
    said = host.ran("ls /; cat /proc/self/status; id -u; cat /etc/resolv.conf /etc/hostname; pwd; ls /proc", nameserver="1.2.3.4")
    assert {"bin", "dev", "etc", "proc", "srv"} <= set(said.split())
    assert not {"usr", "home", "work"} & set(said.split("\n")[:12])
    assert "CapEff:\t0000000000000000" in said and "CapBnd:\t0000000000000000" in said and "NoNewPrivs:\t1" in said
    assert "\n0\nnameserver 1.2.3.4\napp\n/srv\n1\n" in said


def test_a_container_writes_into_its_own_copy_which_goes_with_it(world: World) -> None:
    host = Host(world)
    assert host.ran("ls /kept; mkdir /kept && echo x > /etc/passwd && cat /etc/passwd").endswith("x\n")
    said = host.ran("cat /etc/passwd; ls /kept || echo fresh", nonce="2")
    assert "root:x:0" in said and said.endswith("fresh\n")
    assert "root:x:0" in (host.image.root / "etc" / "passwd").read_text()


def test_links_of_an_image_do_not_lead_out(world: World) -> None:
    host = Host(world)
    (world.folders.state / "outside").mkdir()
    os.chmod(world.folders.state / "outside", 0o777)
    (host.image.root / "etc" / "resolv.conf").symlink_to(world.folders.state / "outside" / "written")
    (host.image.root / "srv").symlink_to(world.folders.state / "outside")
    host.ran("echo x > /srv/file; cat /etc/resolv.conf")
    assert list((world.folders.state / "outside").iterdir()) == []


def test_a_user_of_the_image_is_found_by_name(world: World) -> None:
    host = Host(world, lambda root: Image(root, user="app"))
    assert host.ran("id -u") == "1000\n"


def test_how_it_ended_decides_whether_it_starts_again(world: World) -> None:
    host = Host(world)
    never = host.start("sh", "-c", "exit 3", key="ctr/group-never")
    good = host.start("sh", "-c", "exit 0", key="ctr/group-good", restart="OnFailure")
    bad = host.start("sh", "-c", "exit 1", key="ctr/group-bad", restart="OnFailure")
    until(lambda: host.status(never.key).state == host.status(good.key).state == "ended")
    until(lambda: host.status(bad.key).attempts > 1)
    ended = instances.of(host.status(never.key))
    assert (ended.state, ended.detail, ended.exit_code, ended.restarts) == ("Terminated", "Error", 3, 0)
    assert ended.began is not None and ended.ended is not None and ended.began <= ended.ended
    assert instances.of(host.status(good.key)).detail == "Completed"
    again = instances.of(host.status(bad.key))
    assert again.restarts >= 1 and again.previous is not None and again.previous.exit_code == 1
    assert {seen.readiness for seen in host.containers.observe().values()} == {Readiness.READY}


def test_a_program_that_is_not_there_fails_in_words(world: World) -> None:
    host = Host(world)
    item = host.start("nothing-here")
    until(lambda: host.containers.observe()[item.key].readiness is Readiness.FAILED)
    assert 'exec: "nothing-here": executable file not found in $PATH' in host.containers.observe()[item.key].message


def test_containers_of_a_group_share_folders_and_have_secrets_of_their_own(world: World) -> None:
    host = Host(world)
    shared = Volume(path="/data", shared="data")
    secret = Volume(path="/var/secrets", files=(("key", base64.b64encode(b"hush").decode()),))
    assert host.ran("echo from one > /data/file", key="ctr/group-one", volumes=(shared,)) == ""
    said = host.ran("cat /data/file /var/secrets/key; echo x > /var/secrets/key || echo kept", volumes=(shared, secret))
    assert said.startswith("from one\nhush") and said.endswith("kept\n")
    for key in ("ctr/group-one", "ctr/group-app"):
        host.containers.drop(key)
    until(lambda: not host.containers.observe())
    host.containers.sweep()
    assert list(world.folders.volumes.iterdir()) == []


def test_memory_is_limited_where_the_kernel_is_asked_to(world: World) -> None:
    host = Host(world)
    item = host.start("sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done", memory_mb=32)
    until(lambda: host.status(item.key).state == "ended", 60)
    ended = instances.of(host.status(item.key))
    assert ended.detail == ("OOMKilled" if world.cgroups.enforced else "Error") and ended.exit_code


def test_a_terminal_runs_a_command_beside_the_program(world: World) -> None:
    host = Host(world)
    item = host.start(variables=(("SECRET", "known"),))
    until(lambda: "hello" in host.log(item.key))
    with host.containers.terminal(item.key, ["sh"], 33, 111) as connection:
        connection.settimeout(20)
        connection.sendall(b"echo $SECRET; stty size; cat /proc/self/status; ls /proc; exit\n")
        said = b""
        while data := connection.recv(4096):
            said += data
    text = said.decode()
    assert "known\r\n" in text and "33 111\r\n" in text
    assert "CapEff:\t0000000000000000" in text and "NoNewPrivs:\t1" in text
    until(lambda: instances.of(host.status(item.key)).state == "Running")


def test_a_change_waits_for_what_ran_before(world: World) -> None:
    host = Host(world)
    first = host.start("sh", "-c", "trap 'echo bye; exit' TERM; echo one; while :; do sleep 0.05; done")
    until(lambda: "one" in host.log(first.key))
    second = host.start("sh", "-c", f"echo two; {_STAY}", nonce="2")
    until(lambda: "two" in host.log(second.key))
    assert host.log(second.key) == "one\nbye\ntwo\n"
    until(lambda: host.containers.observe()[second.key].fingerprint == second.fingerprint)
