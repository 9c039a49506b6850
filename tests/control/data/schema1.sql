-- A database as the version with schema 1 left it.
BEGIN TRANSACTION;
CREATE TABLE blobs (
	account TEXT NOT NULL, container TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, md5 TEXT NOT NULL,
	size INTEGER NOT NULL, content_type TEXT NOT NULL, metadata TEXT NOT NULL, etag TEXT NOT NULL,
	created_at TEXT NOT NULL, changed_at TEXT NOT NULL, PRIMARY KEY (account, container, name)
);
CREATE INDEX ix_blobs_sha256 ON blobs (sha256);
CREATE TABLE blocks (
	account TEXT NOT NULL, container TEXT NOT NULL, name TEXT NOT NULL, block TEXT NOT NULL, sha256 TEXT NOT NULL,
	created_at TEXT NOT NULL, PRIMARY KEY (account, container, name, block)
);
CREATE TABLE containers (account TEXT NOT NULL, container TEXT NOT NULL, PRIMARY KEY (account, container));
CREATE TABLE storage_keys (account TEXT NOT NULL, "key" BLOB NOT NULL, PRIMARY KEY (account));
CREATE TABLE allocations (
	owner VARCHAR NOT NULL, 
	purpose VARCHAR NOT NULL, 
	scope VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY (owner, purpose), 
	UNIQUE (scope, value), 
	FOREIGN KEY(owner) REFERENCES resources ("key") ON DELETE CASCADE
);
INSERT INTO "allocations" VALUES('/subscriptions/s/resourcegroups/old','p','scope','1');
CREATE TABLE identities (
	client_id VARCHAR NOT NULL, 
	object_id VARCHAR NOT NULL, 
	tenant_id VARCHAR NOT NULL, 
	display_name VARCHAR NOT NULL, 
	salt BLOB NOT NULL, 
	digest BLOB NOT NULL, 
	PRIMARY KEY (client_id), 
	UNIQUE (object_id)
);
INSERT INTO "identities" VALUES('11111111-aaaa-4bbb-8ccc-222222222222','33333333-aaaa-4bbb-8ccc-444444444444','55555555-aaaa-4bbb-8ccc-666666666666','ringfence-admin',X'30313233343536373839616263646566',X'EF8F40473FD994770E954EE6E8131AFAA06CCBC69411B3F6D24DE0E80359DCFE');
CREATE TABLE meta (
	id INTEGER NOT NULL CHECK (id = 1), 
	schema INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "meta" VALUES(1,1,7);
CREATE TABLE operation_events (
	number INTEGER NOT NULL, 
	operation VARCHAR NOT NULL, 
	at VARCHAR NOT NULL, 
	text VARCHAR NOT NULL, 
	PRIMARY KEY (number), 
	FOREIGN KEY(operation) REFERENCES operations (id) ON DELETE CASCADE
);
CREATE TABLE operations (
	id VARCHAR NOT NULL, 
	resource VARCHAR NOT NULL, 
	resource_id VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	code VARCHAR NOT NULL, 
	message VARCHAR NOT NULL, 
	revision INTEGER NOT NULL, 
	covers JSON NOT NULL, 
	touches JSON NOT NULL, 
	created_at VARCHAR NOT NULL, 
	ended_at VARCHAR, 
	PRIMARY KEY (id)
);
CREATE TABLE resources (
	"key" VARCHAR NOT NULL, 
	id VARCHAR NOT NULL, 
	location VARCHAR, 
	properties JSON NOT NULL, 
	tags JSON NOT NULL, 
	envelope JSON NOT NULL, 
	managed_by VARCHAR, 
	state VARCHAR NOT NULL, 
	etag VARCHAR NOT NULL, 
	created_at VARCHAR NOT NULL, 
	changed_at VARCHAR NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "resources" VALUES('/subscriptions/s/resourcegroups/old','/subscriptions/s/resourceGroups/old','eastus2','{}','{"a": "b"}','{}',NULL,'Succeeded','e','2026-01-02T03:04:05+00:00','2026-01-02T03:04:05+00:00');
CREATE INDEX ix_operations_resource ON operations (resource);
CREATE INDEX ix_operations_status ON operations (status);
CREATE INDEX ix_operation_events_operation ON operation_events (operation);
COMMIT;
