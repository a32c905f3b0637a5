"""What the disk of a registry holds, read from its files alone."""
import os
import shutil

# What the registry itself leaves empty, whatever it is asked to do: of a
# repository that has no upload, and of one that has no tag.
HABITS = ("_uploads", "tags")
# Kinds of links, by the folder that they are in.
LAYERS, REVISIONS, HISTORIES = "_layers", "revisions", "index"


def left_in_quarantine(top):
    """Paths of all that lies in a quarantine anywhere below `top`, folders of
    its runs included."""
    found = []
    for path, folders, files in os.walk(top):
        if "/.reclaim/quarantine" in path + "/":
            found += [os.path.join(path, name) for name in folders + files]
    return sorted(found)


def split_link(path):
    """(repository, kind, digest) of the folder of a link, `path` from the
    repositories' folder on; None of what is no link by digest."""
    parts = path.split("/")
    if len(parts) < 4:
        return None
    kind, algorithm, digest = parts[-3:]
    if kind not in (LAYERS, REVISIONS, HISTORIES):
        return None
    ends = [parts.index(name) for name in (LAYERS, "_manifests")
            if name in parts]
    return "/".join(parts[:min(ends)]), kind, algorithm + ":" + digest


def ruin_at(path):
    """What tells an empty link from every other that is, was or will be in its
    place: who writes to it makes another of it, who moves it does not.  None of
    what is none."""
    try:
        of = os.lstat(path)
    except OSError:
        return None
    return None if of.st_size else (of.st_ino, of.st_mtime_ns)


class RegistryTree:

    def __init__(self, root):
        self.root = root
        self.top = os.path.join(root, "docker/registry/v2")
        self.repositories = os.path.join(self.top, "repositories")

    def blobs(self):
        found = set()
        for path, _, files in os.walk(os.path.join(self.top, "blobs/sha256")):
            if "data" in files:
                found.add("sha256:" + os.path.basename(path))
        return found

    def tags(self):
        """(repository, digest) of all tags."""
        found = set()
        for path, _, files in os.walk(self.repositories):
            if path.endswith("/current") and "link" in files:
                with open(os.path.join(path, "link")) as link:
                    repository = os.path.relpath(
                        path, self.repositories).split("/_manifests/")[0]
                    found.add((repository, link.read().strip()))
        return found

    def links(self):
        """(repository, kind, digest) of all links by digest."""
        found = set()
        for path, _, files in os.walk(self.repositories):
            link = split_link(os.path.relpath(path, self.repositories))
            if "link" in files and link is not None:
                found.add(link)
        return found

    def ruins(self):
        """Each empty link and its path: a registry makes them so that is killed
        between opening one and writing it.  In quarantine as well, for its
        folder may have been moved meanwhile; what comes back while we look is
        found the second time."""
        found = {}
        for top in (self.repositories, os.path.join(self.root, ".reclaim"),
                    self.repositories):
            for path, _, files in os.walk(top):
                link = os.path.join(path, "link")
                ruin = ruin_at(link) if "link" in files else None
                if ruin is not None:
                    found[ruin] = link
        return found

    def clear_torn_tags(self, torn):
        """Takes away the tags that are among these ruins, as an operator is
        told to; how many.

        Nobody was told that they are there, and nobody can say what they
        named: until then their repository is kept.
        """
        tags = [link for ruin, link in self.ruins().items()
                if ruin in torn and link.startswith(self.repositories) and
                link.endswith("/current/link")]
        for link in tags:
            shutil.rmtree(os.path.dirname(os.path.dirname(link)))
        return len(tags)

    def clear_empty_blobs(self):
        """Takes away the blobs that hold nothing while a copy of theirs is in
        quarantine, as an operator is told to; how many.

        A registry writes a manifest's blob in place: one that is killed between
        opening and writing it leaves it so.  It is no copy, so the good one
        stays where it is, and the store is kept until somebody looks.
        """
        kept = {os.path.basename(path) for path, _, files in os.walk(
            os.path.join(self.root, ".reclaim")) if "data" in files}
        empty = [path for path, _, files in os.walk(
            os.path.join(self.top, "blobs/sha256"))
            if "data" in files and os.path.basename(path) in kept and
            ruin_at(os.path.join(path, "data")) is not None]
        for path in empty:
            shutil.rmtree(path)
        return len(empty)

    def empty_folders(self, deleted):
        """Folders without anything in them, but for those that a registry
        leaves so: of an image that it was asked to delete it removes the link
        and not the folder.  `deleted`: (repository, digest) of these."""
        found = []
        for path, folders, files in os.walk(self.top):
            if folders or files or os.path.basename(path) in HABITS or \
                    os.path.dirname(path) == self.top:
                continue
            link = split_link(os.path.relpath(path, self.repositories))
            if link is None or link[1] != REVISIONS or \
                    (link[0], link[2]) not in deleted:
                found.append(os.path.relpath(path, self.top))
        return sorted(found)

    def uploads(self):
        found = []
        for path, folders, _ in os.walk(self.repositories):
            if os.path.basename(path) == "_uploads":
                found += folders
        return found
