-- People, what their photographs gave, and the audit chain. All text is UTF-8, all times ISO 8601 in UTC.

CREATE TABLE people (
    handle      TEXT PRIMARY KEY CHECK (length(handle) = 32 AND handle NOT GLOB '*[^0-9a-f]*'),
    name        TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    enabled     INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    valid_from  TEXT,
    valid_until TEXT,
    enrolled_at TEXT NOT NULL,
    CHECK (valid_from IS NULL OR valid_until IS NULL OR valid_from <= valid_until)
) STRICT;

-- One row per photograph and model (kind single, photo 1..n) and one mean of them (photo 0). float32, little-endian.
CREATE TABLE templates (
    id        INTEGER PRIMARY KEY,
    person    TEXT NOT NULL REFERENCES people (handle) ON DELETE CASCADE,
    kind      TEXT NOT NULL CHECK (kind IN ('single', 'mean')),
    photo     INTEGER NOT NULL CHECK (photo >= 0 AND (kind = 'mean') = (photo = 0)),
    model     TEXT NOT NULL CHECK (length(model) BETWEEN 1 AND 128),
    dimension INTEGER NOT NULL CHECK (dimension BETWEEN 1 AND 4096),
    vector    BLOB NOT NULL CHECK (length(vector) = 4 * dimension),
    UNIQUE (person, model, photo)
) STRICT;

-- body and hash are for ever; personal, salt and person are emptied when a person is erased.
CREATE TABLE audit (
    seq      INTEGER PRIMARY KEY CHECK (seq >= 1),
    body     BLOB NOT NULL CHECK (length(body) BETWEEN 2 AND 16384),
    hash     BLOB NOT NULL CHECK (length(hash) = 32),
    personal BLOB CHECK (personal IS NULL OR length(personal) BETWEEN 2 AND 16384),
    salt     BLOB CHECK (salt IS NULL OR length(salt) = 32),
    person   TEXT,
    CHECK ((personal IS NULL) = (salt IS NULL)),
    CHECK (person IS NULL OR personal IS NOT NULL)
) STRICT;

CREATE INDEX audit_person ON audit (person) WHERE person IS NOT NULL;

-- The chain grows at its end only. These do not stop an attacker, they stop a mistake.
CREATE TRIGGER audit_without_gaps BEFORE INSERT ON audit
WHEN NEW.seq <> coalesce((SELECT max(seq) FROM audit), 0) + 1
BEGIN SELECT raise(ABORT, 'audit entries are numbered without gaps'); END;

CREATE TRIGGER audit_unalterable BEFORE UPDATE ON audit
WHEN NEW.seq <> OLD.seq OR NEW.body <> OLD.body OR NEW.hash <> OLD.hash
    OR NEW.personal IS NOT NULL OR NEW.salt IS NOT NULL OR NEW.person IS NOT NULL
BEGIN SELECT raise(ABORT, 'audit entries can be erased in part, never altered'); END;

CREATE TRIGGER audit_undeletable BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'audit entries are never deleted'); END;
