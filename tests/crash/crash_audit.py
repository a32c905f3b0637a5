"""The audit log of a daemon that is killed, read without it: whether its chain
holds (rpc/audit_log.h has the format), and what it says of deletions."""
import collections
import hashlib
import json
import os
import re
import tempfile

NO_HASH = "0" * 64
LAST_FIELD = b',"hash":"'
QUARANTINE, PURGE = "quarantine", "purge"
BLOB = re.compile(r"blob sha256:([0-9a-f]{64}) ")


class AuditTrail:
    """Follows the log from where it was read to: what was there must stay."""

    def __init__(self, folder):
        self.folder = folder
        self.read_to = collections.Counter()  # bytes of each segment
        self.sequence = 0
        self.hash = NO_HASH
        # Of deletions, by their step: digests of blobs, and items of each run.
        self.blobs = {QUARANTINE: set(), PURGE: set()}
        self.items = collections.Counter()

    def follow(self):
        """What is wrong with what has come since; a line that is being written
        is none yet."""
        for name in sorted(os.listdir(self.folder)):
            with open(os.path.join(self.folder, name), "rb") as file:
                if os.fstat(file.fileno()).st_size < self.read_to[name]:
                    yield "the audit: %s was cut" % name
                    continue
                file.seek(self.read_to[name])
                lines = file.read()
            lines = lines[:lines.rfind(b"\n") + 1]
            self.read_to[name] += len(lines)
            for line in lines.splitlines():
                yield from self.accept(line)

    def accept(self, line):
        text = line.rpartition(LAST_FIELD)[0]
        try:
            record = json.loads(line)
            is_whole = hashlib.sha256(text).hexdigest() == record["hash"]
            follows = (record["seq"], record["prev"]) == (self.sequence + 1,
                                                          self.hash)
            self.sequence, self.hash = record["seq"], record["hash"]
            self.note(record)
        except (ValueError, KeyError) as error:
            yield "the audit: no record: %r: %r" % (error, line[:200])
            return
        if not is_whole:
            yield "the audit: record %d is not what it was" % record["seq"]
        if not follows:
            yield "the audit: record %d does not follow" % record["seq"]

    def note(self, record):
        if record["event"] not in self.blobs:
            return
        self.items[record["event"], record["run"]] += int(record["count"])
        for item in record["items"].split("; "):
            found = BLOB.match(item)
            if found:
                self.blobs[record["event"]].add(found.group(1))

    def complaints(self, tree):
        """Of all that lies in quarantine or is gone.  The disk is looked at
        first: each deletion is on record before it is done (I9)."""
        quarantined, gone = tree.quarantined(), tree.gone()
        yield from self.follow()
        taken = (quarantined | gone) - self.blobs[QUARANTINE]
        freed = gone - self.blobs[PURGE]
        if freed:
            freed &= tree.gone()  # it may have been on its way back
        for what, missing in (("taken", taken), ("freed", freed)):
            if missing:
                yield "the audit: %d blobs were %s and are not on record: %s" % (
                    len(missing), what, sorted(missing)[:3])


def lines_of(records):
    """As the daemon writes them."""
    before, lines = NO_HASH, []
    for number, fields in enumerate(records, 1):
        text = json.dumps({"seq": number, **fields, "prev": before},
                          separators=(",", ":"))[:-1].encode()
        before = hashlib.sha256(text).hexdigest()
        lines.append(text + LAST_FIELD + before.encode() + b'"}\n')
    return lines


def sees_gaps(make_tree):
    """Whether it tells of a line that was changed, dropped, moved or cut off, of
    a blob that is gone without a record, and of nothing else."""
    with tempfile.TemporaryDirectory(prefix="reclaim-crash-") as folder:
        tree = make_tree(folder + "/registry")
        blob = tree.put_blob(b"to be taken", True)
        log = os.path.join(folder, "audit")
        os.mkdir(log)
        step = {"run": "r", "count": "1",
                "items": "blob sha256:%s unreferenced 4096" % blob}
        good = lines_of([{"event": "call"}, {"event": QUARANTINE, **step},
                         {"event": "outcome"}, {"event": PURGE, **step}])

        def told(*lines):
            with open(os.path.join(log, "audit-00000001.log"), "wb") as file:
                file.writelines(lines)
            return list(AuditTrail(log).complaints(tree))

        seen = [told(*good), told(*good, good[0][:20])]
        os.unlink(os.path.join(tree.root, "docker/registry/v2",
                               tree.blob_path(blob)))
        seen.append(told(*good))
        faults = [told(good[0].replace(b"call", b"ball"), *good[1:]),
                  told(*good[:2], good[3]), told(good[0], good[2], good[1]),
                  told(*good[:3]), told(good[0]), told(b"{}\n", *good)]
        trail = AuditTrail(log)
        told(*good)
        whole = not list(trail.follow())
        told(*good[:3])
        faults.append(list(trail.follow()))
        return whole and not any(seen) and all(faults)
