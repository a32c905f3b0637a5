"""A client of a registry, as docker and skopeo are: it asks before it uploads.

One connection a client; made anew when it breaks.  Nothing is retried here.
"""
import hashlib
import http.client
import json

OCI = "application/vnd.oci.image."
MANIFEST = OCI + "manifest.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Refused(Exception):
    """The registry did not take it: nothing was acknowledged."""


class Broken(Exception):
    """The connection broke: nobody knows whether it was done."""


class Client:

    def __init__(self, host):
        self.host = host
        self.connection = None

    def ask(self, method, path, body=None, headers=None):
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(
                    self.host, timeout=30)
            self.connection.request(method, path, body=body,
                                    headers=headers or {})
            answer = self.connection.getresponse()
            return answer.status, answer.read(), answer.headers
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Broken(str(error)) from error

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def has_blob(self, repository, digest):
        status, _, _ = self.ask("HEAD", "/v2/%s/blobs/%s"
                                % (repository, digest))
        return status == 200

    def begin_upload(self, repository):
        status, body, headers = self.ask(
            "POST", "/v2/%s/blobs/uploads/" % repository)
        if status != 202:
            raise Refused("begin of an upload: %d %s" % (status, body[:200]))
        location = headers["Location"]
        return location[location.index("/v2/"):]

    def upload(self, repository, data):
        location = self.begin_upload(repository)
        glue = "&" if "?" in location else "?"
        status, body, _ = self.ask(
            "PUT", location + glue + "digest=" + digest_of(data), data,
            {"Content-Type": "application/octet-stream"})
        if status != 201:
            raise Refused("upload: %d %s" % (status, body[:200]))

    def abort_upload(self, repository, data):
        """Sends half of it, and never comes back."""
        location = self.begin_upload(repository)
        self.ask("PATCH", location, data,
                 {"Content-Type": "application/octet-stream"})

    def mount(self, repository, digest, source):
        """True if it was mounted; else nothing has happened that matters."""
        status, _, _ = self.ask(
            "POST", "/v2/%s/blobs/uploads/?mount=%s&from=%s"
            % (repository, digest, source))
        return status == 201

    def put_manifest(self, repository, tag, data):
        status, body, _ = self.ask(
            "PUT", "/v2/%s/manifests/%s" % (repository, tag), data,
            {"Content-Type": MANIFEST})
        if status != 201:
            raise Refused("manifest: %d %s" % (status, body[:300]))

    def delete_manifest(self, repository, digest):
        """The status.  The registry takes the image's link first, then looks
        for its tags, and ends with an error if one of any image goes
        meanwhile: only 404 says that nothing was done."""
        status, _, _ = self.ask("DELETE", "/v2/%s/manifests/%s"
                                % (repository, digest))
        return status

    def get(self, path):
        """The body, or None with the reason."""
        status, body, _ = self.ask("GET", path, headers={"Accept": MANIFEST})
        if status != 200:
            return None, "%s: %d" % (path, status)
        return body, ""

    def tag_target(self, repository, tag):
        body, _ = self.get("/v2/%s/manifests/%s" % (repository, tag))
        return None if body is None else digest_of(body)

    def why_not_whole(self, repository, reference, digest):
        """"" if what `reference` names is `digest`, and all of it can be read
        and is what its digests say."""
        body, why = self.get("/v2/%s/manifests/%s" % (repository, reference))
        if body is None:
            return why
        if digest_of(body) != digest:
            return "%s:%s is %s, not %s" % (repository, reference,
                                            digest_of(body), digest)
        manifest = json.loads(body)
        for part in [manifest["config"]] + manifest["layers"]:
            data, why = self.get("/v2/%s/blobs/%s"
                                 % (repository, part["digest"]))
            if data is None:
                return why
            if digest_of(data) != part["digest"]:
                return "%s@%s: %d bytes of something else" % (
                    repository, part["digest"], len(data))
        return ""
