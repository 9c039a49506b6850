"""The OCI distribution API: what is pushed comes back, what is half-pushed goes on, what is wrong is refused with its code."""

from __future__ import annotations

import hashlib
import json

from tests.registry.registry_world import MANIFEST, NOW, World, auth, code, named


def test_an_image_comes_back_by_tag_and_by_digest(world: World) -> None:
    digest = world.push(world.admin)
    for reference in ("v1", digest):
        answer = world.client.get(f"/v2/team/app/manifests/{reference}", headers=auth(world.admin))
        assert answer.headers["content-type"] == MANIFEST and answer.headers["docker-content-digest"] == digest
        assert "sha256:" + hashlib.sha256(answer.content).hexdigest() == digest
    head = world.client.head("/v2/team/app/manifests/v1", headers=auth(world.admin))
    assert head.content == b"" and head.headers["content-length"] == str(len(answer.content))
    layer = answer.json()["layers"][0]["digest"]
    assert world.client.get(f"/v2/team/app/blobs/{layer}", headers=auth(world.admin)).content == b"layer"
    for asked, got in (("bytes=1-2", b"ay"), ("bytes=3-", b"er"), ("bytes=-2", b"er")):
        part = world.client.get(f"/v2/team/app/blobs/{layer}", headers=auth(world.admin) | {"Range": asked})
        assert (part.status_code, part.content) == (206, got)
    beyond = world.client.get(f"/v2/team/app/blobs/{layer}", headers=auth(world.admin) | {"Range": "bytes=9-"})
    assert code(beyond) == (416, "RANGE_INVALID")


def test_an_upload_in_chunks_goes_on_after_a_restart(world: World) -> None:
    begun = world.client.post("/v2/team/app/blobs/uploads/", headers=auth(world.admin))
    assert begun.status_code == 202 and begun.headers["range"] == "0-0"
    where = begun.headers["location"]
    first = world.client.patch(where, content=b"12345", headers=auth(world.admin) | {"Content-Range": "0-4"})
    assert (first.status_code, first.headers["range"]) == (202, "0-4")
    world.close()
    world.open()
    status = world.client.get(where, headers=auth(world.admin))
    assert (status.status_code, status.headers["range"]) == (204, "0-4"), "what was acknowledged is kept"
    gap = world.client.patch(where, content=b"9", headers=auth(world.admin) | {"Content-Range": "9-9"})
    assert code(gap) == (416, "BLOB_UPLOAD_INVALID")
    world.client.patch(where, content=b"678", headers=auth(world.admin) | {"Content-Range": "5-7"})
    digest = "sha256:" + hashlib.sha256(b"123456789").hexdigest()
    wrong = world.client.put(f"{where}?digest=sha256:{'0' * 64}", headers=auth(world.admin))
    assert code(wrong) == (400, "DIGEST_INVALID")
    done = world.client.put(f"{where}?digest={digest}", content=b"9", headers=auth(world.admin))
    assert done.status_code == 201 and done.headers["docker-content-digest"] == digest
    assert world.client.get(done.headers["location"], headers=auth(world.admin)).content == b"123456789"
    assert code(world.client.get(where, headers=auth(world.admin))) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_a_cancelled_upload_is_gone(world: World) -> None:
    where = world.client.post("/v2/team/app/blobs/uploads/", headers=auth(world.admin)).headers["location"]
    assert world.client.delete(where, headers=auth(world.admin)).status_code == 204
    assert code(world.client.patch(where, content=b"1", headers=auth(world.admin))) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_a_blob_is_mounted_from_where_it_may_be_pulled(world: World) -> None:
    digest = world.push_blob(b"shared", world.admin, "base")
    url = f"/v2/team/app/blobs/uploads/?mount={digest}&from=base"
    assert world.client.post(url, headers=auth(world.admin)).status_code == 201
    assert world.client.head(f"/v2/team/app/blobs/{digest}", headers=auth(world.admin)).headers["content-length"] == "6"
    only_here = world.token("repository:other:pull,push", world.admin)
    answer = world.client.post(f"/v2/other/blobs/uploads/?mount={digest}&from=base", headers=auth(only_here))
    assert answer.status_code == 202, "an upload instead"
    assert world.client.head(f"/v2/other/blobs/{digest}", headers=auth(only_here)).status_code == 404


def test_a_manifest_names_what_is_there(world: World) -> None:
    body = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": []}
    body["config"] = {"mediaType": "x/y", "digest": "sha256:" + "1" * 64, "size": 1}
    headers = auth(world.admin) | {"Content-Type": MANIFEST}
    put = world.client.put("/v2/team/app/manifests/v1", content=json.dumps(body), headers=headers)
    assert code(put) == (404, "MANIFEST_BLOB_UNKNOWN")
    for content, kind in ((b"{", MANIFEST), (b"{}", MANIFEST), (json.dumps(body).encode(), "text/plain")):
        refused = world.client.put("/v2/team/app/manifests/v1", content=content, headers=headers | {"Content-Type": kind})
        assert code(refused) == (400, "MANIFEST_INVALID")
    assert code(world.client.get("/v2/Team/app/manifests/v1", headers=auth(world.admin))) == (400, "NAME_INVALID")


def test_lists_have_pages(world: World) -> None:
    for tag in ("a", "b", "c"):
        world.push(world.admin, tag)
    world.push(world.admin, repository="other")
    first = world.client.get("/v2/team/app/tags/list?n=2", headers=auth(world.admin))
    assert first.json() == {"name": "team/app", "tags": ["a", "b"]}
    following = first.headers["link"].partition(">")[0].removeprefix("<")
    assert world.client.get(following, headers=auth(world.admin)).json()["tags"] == ["c"]
    assert world.client.get("/v2/_catalog", headers=auth(world.admin)).json() == {"repositories": ["other", "team/app"]}
    shown = world.client.get("/acr/v1/team/app/_tags", headers=auth(world.admin)).json()
    assert [tag["name"] for tag in shown["tags"]] == ["a", "b", "c"] and shown["imageName"] == "team/app"
    about = world.client.get("/acr/v1/team/app", headers=auth(world.admin)).json()
    assert (about["manifestCount"], about["tagCount"]) == (1, 3)


def test_an_index_and_its_referrers(world: World) -> None:
    digest = world.push(world.admin)
    subject = {"mediaType": MANIFEST, "digest": digest, "size": 1}
    signature = world.push(world.admin, "sig", artifactType="application/signature", subject=subject)
    found = world.client.get(f"/v2/team/app/referrers/{digest}", headers=auth(world.admin)).json()
    assert [(one["digest"], one["artifactType"]) for one in found["manifests"]] == [(signature, "application/signature")]
    filtered = world.client.get(f"/v2/team/app/referrers/{digest}?artifactType=none", headers=auth(world.admin))
    assert filtered.json()["manifests"] == [] and filtered.headers["oci-filters-applied"] == "artifactType"
    kind = "application/vnd.oci.image.index.v1+json"
    index = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [subject]})
    headers = auth(world.admin) | {"Content-Type": kind}
    assert world.client.put("/v2/team/app/manifests/all", content=index, headers=headers).status_code == 201


def test_what_is_deleted_is_gone_with_what_only_it_named(world: World) -> None:
    kept, gone = world.push(world.admin, "v1"), world.push(world.admin, "v2", layer=b"other")
    layer = "sha256:" + hashlib.sha256(b"other").hexdigest()
    assert world.client.delete(f"/v2/team/app/manifests/{gone}", headers=auth(world.admin)).status_code == 202
    assert code(world.client.get("/v2/team/app/manifests/v2", headers=auth(world.admin))) == (404, "MANIFEST_UNKNOWN")
    assert world.client.head(f"/v2/team/app/blobs/{layer}", headers=auth(world.admin)).status_code == 404
    assert world.client.get(f"/v2/team/app/manifests/{kept}", headers=auth(world.admin)).status_code == 200
    assert world.client.delete("/acr/v1/team/app", headers=auth(world.admin)).status_code == 202
    assert code(world.client.get("/v2/team/app/tags/list", headers=auth(world.admin))) == (404, "NAME_UNKNOWN")


def test_contents_stay_while_they_are_named_and_go_with_their_registry(world: World) -> None:
    world.push(world.admin)
    files = {path.name for path in (world.folder / "blobs").rglob("*") if path.is_file()}
    world.close()
    world.open()
    assert {path.name for path in (world.folder / "blobs").rglob("*") if path.is_file()} == files and len(files) == 3
    world.close()
    world.registry = named()
    world.registry = type(world.registry)(
        id=world.registry.id, properties=world.registry.properties, created_at=NOW.replace(hour=13), changed_at=NOW
    )
    world.open()
    assert not [path for path in (world.folder / "blobs").rglob("*") if path.is_file()], "a new one of the same name is empty"
