-- sqlite
CREATE TABLE attempts (
	delivery_id VARCHAR(36) NOT NULL,
	generation INTEGER NOT NULL,
	number INTEGER NOT NULL,
	started_at DOUBLE NOT NULL,
	duration_ms DOUBLE NOT NULL,
	outcome TEXT NOT NULL,
	status_code INTEGER,
	response TEXT NOT NULL,
	error TEXT NOT NULL,
	escaped TEXT,
	evidence TEXT,
	PRIMARY KEY (delivery_id, generation, number)
)
 WITHOUT ROWID;
CREATE TABLE audit (
	id VARCHAR(36) NOT NULL,
	at DOUBLE NOT NULL,
	actor TEXT NOT NULL,
	role TEXT NOT NULL,
	action TEXT NOT NULL,
	object_type TEXT NOT NULL,
	object_id TEXT NOT NULL,
	request_id TEXT NOT NULL,
	remote TEXT NOT NULL,
	detail TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX audit_action ON audit (action, id);
CREATE INDEX audit_actor ON audit (actor, id);
CREATE INDEX audit_object ON audit (object_type, object_id, id);
CREATE INDEX audit_request ON audit (request_id, id);
CREATE TABLE claims (
	digest TEXT NOT NULL,
	event_id VARCHAR(36) NOT NULL,
	holder TEXT NOT NULL,
	claimed_at DOUBLE NOT NULL,
	until DOUBLE NOT NULL,
	done BOOLEAN NOT NULL,
	PRIMARY KEY (digest)
);
CREATE INDEX claims_until ON claims (until);
CREATE TABLE deliveries (
	id VARCHAR(36) NOT NULL,
	event_id VARCHAR(36) NOT NULL,
	hook TEXT NOT NULL,
	target TEXT NOT NULL,
	status TEXT NOT NULL,
	reason TEXT NOT NULL,
	generation INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	created_at DOUBLE NOT NULL,
	updated_at DOUBLE NOT NULL,
	next_attempt_at DOUBLE,
	event_type TEXT DEFAULT '' NOT NULL,
	PRIMARY KEY (id)
)
 WITHOUT ROWID;
CREATE INDEX deliveries_event ON deliveries (event_id, id);
CREATE INDEX deliveries_hook ON deliveries (hook, status, event_id, id, event_type);
CREATE INDEX deliveries_status ON deliveries (status, event_id, id, event_type) WHERE status <> 'SUCCESS';
CREATE INDEX deliveries_updated ON deliveries (updated_at, id, hook, status, event_type);
CREATE INDEX deliveries_waiting ON deliveries (hook, event_id, status) WHERE status IN ('PENDING', 'RETRYING');
CREATE TABLE durations (
	grain INTEGER NOT NULL,
	hook TEXT NOT NULL,
	start BIGINT NOT NULL,
	bucket INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	PRIMARY KEY (grain, hook, start, bucket)
)
 WITHOUT ROWID;
CREATE INDEX durations_start ON durations (grain, start);
CREATE TABLE event_dimensions (
	dimension TEXT NOT NULL,
	"key" TEXT NOT NULL,
	event_id VARCHAR(36) NOT NULL,
	PRIMARY KEY (dimension, "key", event_id)
)
 WITHOUT ROWID;
CREATE INDEX event_dimensions_event ON event_dimensions (event_id);
CREATE TABLE events (
	id VARCHAR(36) NOT NULL,
	source TEXT NOT NULL,
	type TEXT NOT NULL,
	format TEXT NOT NULL,
	publisher_id TEXT,
	webhook_id TEXT NOT NULL,
	time TEXT,
	received_at DOUBLE NOT NULL,
	identity TEXT,
	exchange TEXT NOT NULL,
	routing_key TEXT NOT NULL,
	properties TEXT,
	headers TEXT,
	body BLOB NOT NULL,
	escaped TEXT,
	PRIMARY KEY (id)
);
CREATE INDEX events_publisher ON events (substr(publisher_id, length(publisher_id)), id, publisher_id) WHERE length(publisher_id) <= 200;
CREATE INDEX events_type ON events (source, type, id);
CREATE INDEX events_webhook ON events (substr(webhook_id, length(webhook_id)), id, webhook_id) WHERE publisher_id IS NOT NULL AND length(webhook_id) BETWEEN 1 AND 200;
CREATE TABLE evidence_forms (
	id TEXT NOT NULL,
	form TEXT NOT NULL,
	used_at DOUBLE NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE failures (
	grain INTEGER NOT NULL,
	hook TEXT NOT NULL,
	start BIGINT NOT NULL,
	outcome TEXT NOT NULL,
	code INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	deliveries INTEGER NOT NULL,
	PRIMARY KEY (grain, hook, start, outcome, code)
)
 WITHOUT ROWID;
CREATE INDEX failures_start ON failures (grain, start);
CREATE TABLE hook_health (
	hook TEXT NOT NULL,
	last_attempt_at DOUBLE,
	last_success_at DOUBLE,
	last_failure_at DOUBLE,
	failing_since DOUBLE,
	failed_attempts INTEGER NOT NULL,
	failed_deliveries INTEGER NOT NULL,
	warned INTEGER DEFAULT '0' NOT NULL,
	warned_since DOUBLE,
	PRIMARY KEY (hook)
);
CREATE TABLE hook_states (
	hook TEXT NOT NULL,
	paused BOOLEAN NOT NULL,
	reason TEXT NOT NULL,
	changed_at DOUBLE NOT NULL,
	said_enabled BOOLEAN,
	said_paused BOOLEAN,
	PRIMARY KEY (hook)
);
CREATE TABLE hook_versions (
	hook TEXT NOT NULL,
	version INTEGER NOT NULL,
	at DOUBLE NOT NULL,
	"by" TEXT NOT NULL,
	sealed BLOB NOT NULL,
	PRIMARY KEY (hook, version)
)
 WITHOUT ROWID;
CREATE TABLE hooks (
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	document TEXT NOT NULL,
	sealed BLOB,
	version INTEGER NOT NULL,
	revision INTEGER NOT NULL,
	created_at DOUBLE NOT NULL,
	updated_at DOUBLE NOT NULL,
	deleting TEXT DEFAULT '' NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX hooks_name ON hooks (name) WHERE deleting <> 'gone';
CREATE TABLE idempotency (
	"key" TEXT NOT NULL,
	request TEXT NOT NULL,
	status INTEGER,
	answer TEXT,
	at DOUBLE NOT NULL,
	PRIMARY KEY ("key")
);
CREATE INDEX idempotency_age ON idempotency (at);
CREATE TABLE leases (
	name TEXT NOT NULL,
	holder TEXT NOT NULL,
	until DOUBLE NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE measures (
	grain INTEGER NOT NULL,
	source TEXT NOT NULL,
	dimension TEXT NOT NULL,
	measure TEXT NOT NULL,
	start BIGINT NOT NULL,
	event_type TEXT NOT NULL,
	"key" TEXT NOT NULL,
	amount DOUBLE NOT NULL,
	PRIMARY KEY (grain, source, dimension, measure, start, event_type, "key")
)
 WITHOUT ROWID;
CREATE INDEX measures_start ON measures (grain, start);
CREATE TABLE message_keys (
	id INTEGER NOT NULL,
	secret BLOB NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE outbox (
	delivery_id VARCHAR(36) NOT NULL,
	generation INTEGER NOT NULL,
	put_at DOUBLE NOT NULL,
	PRIMARY KEY (delivery_id)
);
CREATE INDEX outbox_age ON outbox (put_at);
CREATE TABLE owners (
	id INTEGER NOT NULL,
	prefix TEXT NOT NULL,
	broker TEXT NOT NULL,
	vhost TEXT NOT NULL,
	history TEXT NOT NULL,
	since DOUBLE NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE quarantine (
	id VARCHAR(36) NOT NULL,
	source TEXT NOT NULL,
	reason TEXT NOT NULL,
	detail TEXT NOT NULL,
	quarantined_at DOUBLE NOT NULL,
	exchange TEXT NOT NULL,
	routing_key TEXT NOT NULL,
	properties TEXT,
	headers TEXT,
	body BLOB NOT NULL,
	escaped TEXT,
	PRIMARY KEY (id)
);
CREATE INDEX quarantine_age ON quarantine (quarantined_at);
CREATE INDEX quarantine_reason ON quarantine (reason, id);
CREATE INDEX quarantine_source ON quarantine (source, id);
CREATE TABLE replayed (
	replay_id VARCHAR(36) NOT NULL,
	event_id VARCHAR(36) NOT NULL,
	delivery_id VARCHAR(36) NOT NULL,
	PRIMARY KEY (replay_id, event_id, delivery_id)
)
 WITHOUT ROWID;
CREATE INDEX replayed_event ON replayed (event_id);
CREATE TABLE replays (
	id VARCHAR(36) NOT NULL,
	which TEXT NOT NULL,
	rate DOUBLE,
	status TEXT NOT NULL,
	total INTEGER NOT NULL,
	exact BOOLEAN NOT NULL,
	done INTEGER NOT NULL,
	left_out INTEGER NOT NULL,
	remaining TEXT NOT NULL,
	created_at DOUBLE NOT NULL,
	created_by TEXT NOT NULL,
	updated_at DOUBLE NOT NULL,
	finished_at DOUBLE,
	error TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX replays_status ON replays (status);
CREATE TABLE replicas (
	id TEXT NOT NULL,
	host TEXT NOT NULL,
	targets TEXT NOT NULL,
	started_at DOUBLE NOT NULL,
	seen_at DOUBLE NOT NULL,
	revision INTEGER NOT NULL,
	settled INTEGER NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE revisions (
	name TEXT NOT NULL,
	value INTEGER NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE stream_offsets (
	queue TEXT NOT NULL,
	epoch INTEGER NOT NULL,
	reached BIGINT NOT NULL,
	ahead TEXT NOT NULL,
	digest TEXT NOT NULL,
	since DOUBLE NOT NULL,
	PRIMARY KEY (queue)
);
CREATE TABLE sums (
	grain INTEGER NOT NULL,
	hook TEXT NOT NULL,
	start BIGINT NOT NULL,
	succeeded INTEGER NOT NULL,
	failed INTEGER NOT NULL,
	skipped INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	attempts_failed INTEGER NOT NULL,
	duration_ms DOUBLE NOT NULL,
	PRIMARY KEY (grain, hook, start)
)
 WITHOUT ROWID;
CREATE INDEX sums_start ON sums (grain, start);
CREATE TABLE suspects (
	digest TEXT NOT NULL,
	replica TEXT NOT NULL,
	times INTEGER NOT NULL,
	noted_at DOUBLE NOT NULL,
	PRIMARY KEY (digest)
);
CREATE INDEX suspects_age ON suspects (noted_at);
CREATE TABLE tokens (
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	role TEXT NOT NULL,
	digest TEXT NOT NULL,
	created_at DOUBLE NOT NULL,
	created_by TEXT NOT NULL,
	last_used_at DOUBLE,
	expires_at DOUBLE,
	revoked_at DOUBLE,
	PRIMARY KEY (id),
	UNIQUE (digest)
);
CREATE UNIQUE INDEX tokens_name ON tokens (name) WHERE revoked_at IS NULL;

-- postgresql
CREATE TABLE attempts (
	delivery_id UUID NOT NULL,
	generation INTEGER NOT NULL,
	number INTEGER NOT NULL,
	started_at DOUBLE PRECISION NOT NULL,
	duration_ms DOUBLE PRECISION NOT NULL,
	outcome TEXT NOT NULL,
	status_code INTEGER,
	response TEXT NOT NULL,
	error TEXT NOT NULL,
	escaped TEXT,
	evidence TEXT,
	PRIMARY KEY (delivery_id, generation, number)
);
CREATE TABLE audit (
	id UUID NOT NULL,
	at DOUBLE PRECISION NOT NULL,
	actor TEXT NOT NULL,
	role TEXT NOT NULL,
	action TEXT NOT NULL,
	object_type TEXT NOT NULL,
	object_id TEXT NOT NULL,
	request_id TEXT NOT NULL,
	remote TEXT NOT NULL,
	detail TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX audit_action ON audit (action, id);
CREATE INDEX audit_actor ON audit (actor, id);
CREATE INDEX audit_object ON audit (object_type, object_id, id);
CREATE INDEX audit_request ON audit (request_id, id);
CREATE TABLE claims (
	digest TEXT NOT NULL,
	event_id UUID NOT NULL,
	holder TEXT NOT NULL,
	claimed_at DOUBLE PRECISION NOT NULL,
	until DOUBLE PRECISION NOT NULL,
	done BOOLEAN NOT NULL,
	PRIMARY KEY (digest)
);
CREATE INDEX claims_until ON claims (until);
CREATE TABLE deliveries (
	id UUID NOT NULL,
	event_id UUID NOT NULL,
	hook TEXT NOT NULL,
	target TEXT NOT NULL,
	status TEXT NOT NULL,
	reason TEXT NOT NULL,
	generation INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	created_at DOUBLE PRECISION NOT NULL,
	updated_at DOUBLE PRECISION NOT NULL,
	next_attempt_at DOUBLE PRECISION,
	event_type TEXT DEFAULT '' NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX deliveries_event ON deliveries (event_id, id);
CREATE INDEX deliveries_hook ON deliveries (hook, status, event_id, id, event_type);
CREATE INDEX deliveries_status ON deliveries (status, event_id, id, event_type) WHERE status <> 'SUCCESS';
CREATE INDEX deliveries_updated ON deliveries (updated_at, id, hook, status, event_type);
CREATE INDEX deliveries_waiting ON deliveries (hook, event_id, status) WHERE status IN ('PENDING', 'RETRYING');
CREATE TABLE durations (
	grain INTEGER NOT NULL,
	hook TEXT NOT NULL,
	start BIGINT NOT NULL,
	bucket INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	PRIMARY KEY (grain, hook, start, bucket)
)
 WITH (fillfactor = 50);
CREATE INDEX durations_start ON durations (grain, start);
CREATE TABLE event_dimensions (
	dimension TEXT NOT NULL,
	key TEXT NOT NULL,
	event_id UUID NOT NULL,
	PRIMARY KEY (dimension, key, event_id)
);
CREATE INDEX event_dimensions_event ON event_dimensions (event_id);
CREATE TABLE events (
	id UUID NOT NULL,
	source TEXT NOT NULL,
	type TEXT NOT NULL,
	format TEXT NOT NULL,
	publisher_id TEXT,
	webhook_id TEXT NOT NULL,
	time TEXT,
	received_at DOUBLE PRECISION NOT NULL,
	identity TEXT,
	exchange TEXT NOT NULL,
	routing_key TEXT NOT NULL,
	properties TEXT,
	headers TEXT,
	body BYTEA NOT NULL,
	escaped TEXT,
	PRIMARY KEY (id)
);
CREATE INDEX events_publisher ON events (substr(publisher_id, length(publisher_id)), id, publisher_id) WHERE length(publisher_id) <= 200;
CREATE INDEX events_type ON events (source, type, id);
CREATE INDEX events_webhook ON events (substr(webhook_id, length(webhook_id)), id, webhook_id) WHERE publisher_id IS NOT NULL AND length(webhook_id) BETWEEN 1 AND 200;
CREATE TABLE evidence_forms (
	id TEXT NOT NULL,
	form TEXT NOT NULL,
	used_at DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE failures (
	grain INTEGER NOT NULL,
	hook TEXT NOT NULL,
	start BIGINT NOT NULL,
	outcome TEXT NOT NULL,
	code INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	deliveries INTEGER NOT NULL,
	PRIMARY KEY (grain, hook, start, outcome, code)
)
 WITH (fillfactor = 50);
CREATE INDEX failures_start ON failures (grain, start);
CREATE TABLE hook_health (
	hook TEXT NOT NULL,
	last_attempt_at DOUBLE PRECISION,
	last_success_at DOUBLE PRECISION,
	last_failure_at DOUBLE PRECISION,
	failing_since DOUBLE PRECISION,
	failed_attempts INTEGER NOT NULL,
	failed_deliveries INTEGER NOT NULL,
	warned INTEGER DEFAULT '0' NOT NULL,
	warned_since DOUBLE PRECISION,
	PRIMARY KEY (hook)
);
CREATE TABLE hook_states (
	hook TEXT NOT NULL,
	paused BOOLEAN NOT NULL,
	reason TEXT NOT NULL,
	changed_at DOUBLE PRECISION NOT NULL,
	said_enabled BOOLEAN,
	said_paused BOOLEAN,
	PRIMARY KEY (hook)
);
CREATE TABLE hook_versions (
	hook TEXT NOT NULL,
	version INTEGER NOT NULL,
	at DOUBLE PRECISION NOT NULL,
	by TEXT NOT NULL,
	sealed BYTEA NOT NULL,
	PRIMARY KEY (hook, version)
);
CREATE TABLE hooks (
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	document TEXT NOT NULL,
	sealed BYTEA,
	version INTEGER NOT NULL,
	revision INTEGER NOT NULL,
	created_at DOUBLE PRECISION NOT NULL,
	updated_at DOUBLE PRECISION NOT NULL,
	deleting TEXT DEFAULT '' NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX hooks_name ON hooks (name) WHERE deleting <> 'gone';
CREATE TABLE idempotency (
	key TEXT NOT NULL,
	request TEXT NOT NULL,
	status INTEGER,
	answer TEXT,
	at DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (key)
);
CREATE INDEX idempotency_age ON idempotency (at);
CREATE TABLE leases (
	name TEXT NOT NULL,
	holder TEXT NOT NULL,
	until DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE measures (
	grain INTEGER NOT NULL,
	source TEXT NOT NULL,
	dimension TEXT NOT NULL,
	measure TEXT NOT NULL,
	start BIGINT NOT NULL,
	event_type TEXT NOT NULL,
	key TEXT NOT NULL,
	amount DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (grain, source, dimension, measure, start, event_type, key)
)
 WITH (fillfactor = 50);
CREATE INDEX measures_start ON measures (grain, start);
CREATE TABLE message_keys (
	id INTEGER NOT NULL,
	secret BYTEA NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE outbox (
	delivery_id UUID NOT NULL,
	generation INTEGER NOT NULL,
	put_at DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (delivery_id)
);
CREATE INDEX outbox_age ON outbox (put_at);
CREATE TABLE owners (
	id INTEGER NOT NULL,
	prefix TEXT NOT NULL,
	broker TEXT NOT NULL,
	vhost TEXT NOT NULL,
	history TEXT NOT NULL,
	since DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE quarantine (
	id UUID NOT NULL,
	source TEXT NOT NULL,
	reason TEXT NOT NULL,
	detail TEXT NOT NULL,
	quarantined_at DOUBLE PRECISION NOT NULL,
	exchange TEXT NOT NULL,
	routing_key TEXT NOT NULL,
	properties TEXT,
	headers TEXT,
	body BYTEA NOT NULL,
	escaped TEXT,
	PRIMARY KEY (id)
);
CREATE INDEX quarantine_age ON quarantine (quarantined_at);
CREATE INDEX quarantine_reason ON quarantine (reason, id);
CREATE INDEX quarantine_source ON quarantine (source, id);
CREATE TABLE replayed (
	replay_id UUID NOT NULL,
	event_id UUID NOT NULL,
	delivery_id UUID NOT NULL,
	PRIMARY KEY (replay_id, event_id, delivery_id)
);
CREATE INDEX replayed_event ON replayed (event_id);
CREATE TABLE replays (
	id UUID NOT NULL,
	which TEXT NOT NULL,
	rate DOUBLE PRECISION,
	status TEXT NOT NULL,
	total INTEGER NOT NULL,
	exact BOOLEAN NOT NULL,
	done INTEGER NOT NULL,
	left_out INTEGER NOT NULL,
	remaining TEXT NOT NULL,
	created_at DOUBLE PRECISION NOT NULL,
	created_by TEXT NOT NULL,
	updated_at DOUBLE PRECISION NOT NULL,
	finished_at DOUBLE PRECISION,
	error TEXT NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX replays_status ON replays (status);
CREATE TABLE replicas (
	id TEXT NOT NULL,
	host TEXT NOT NULL,
	targets TEXT NOT NULL,
	started_at DOUBLE PRECISION NOT NULL,
	seen_at DOUBLE PRECISION NOT NULL,
	revision INTEGER NOT NULL,
	settled INTEGER NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE revisions (
	name TEXT NOT NULL,
	value INTEGER NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE stream_offsets (
	queue TEXT NOT NULL,
	epoch INTEGER NOT NULL,
	reached BIGINT NOT NULL,
	ahead TEXT NOT NULL,
	digest TEXT NOT NULL,
	since DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (queue)
);
CREATE TABLE sums (
	grain INTEGER NOT NULL,
	hook TEXT NOT NULL,
	start BIGINT NOT NULL,
	succeeded INTEGER NOT NULL,
	failed INTEGER NOT NULL,
	skipped INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	attempts_failed INTEGER NOT NULL,
	duration_ms DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (grain, hook, start)
)
 WITH (fillfactor = 50);
CREATE INDEX sums_start ON sums (grain, start);
CREATE TABLE suspects (
	digest TEXT NOT NULL,
	replica TEXT NOT NULL,
	times INTEGER NOT NULL,
	noted_at DOUBLE PRECISION NOT NULL,
	PRIMARY KEY (digest)
);
CREATE INDEX suspects_age ON suspects (noted_at);
CREATE TABLE tokens (
	id TEXT NOT NULL,
	name TEXT NOT NULL,
	role TEXT NOT NULL,
	digest TEXT NOT NULL,
	created_at DOUBLE PRECISION NOT NULL,
	created_by TEXT NOT NULL,
	last_used_at DOUBLE PRECISION,
	expires_at DOUBLE PRECISION,
	revoked_at DOUBLE PRECISION,
	PRIMARY KEY (id),
	UNIQUE (digest)
);
CREATE UNIQUE INDEX tokens_name ON tokens (name) WHERE revoked_at IS NULL;
