"""A disk that keeps no name before it has to, made again from a trace.

A name that comes or goes is durable when the folder that holds it has been
synced (fsync), and at any time before that it may be or not, whatever came
before or after it: names of other folders, and the folder itself in the one
above.  What POSIX asks of a file system is no more.  Two things are taken for
granted that every file system with a journal has: a rename is in both of its
folders or in none, and what is done to one name keeps its order.

    disk = Disk(root)              # as it is now, all of it durable
    for call in read_trace(path, root):
        disk.do(call)
        tree = disk.after_a_cut(random)   # {path: inode} of its files
"""
import collections
import os
import re

# What changes a name or makes it durable, with the folder of each descriptor
# (strace -y).
CALLS = "mkdirat,renameat2,renameat,unlinkat,openat,openat2,fsync,fdatasync"
PLACE = r'(?:\d+<([^>]*)>|AT_FDCWD), "([^"]*)"'
Call = collections.namedtuple("Call", "name paths flags")
# The names that a call changes: {(folder, name): inode or None}; what it needs.
Change = collections.namedtuple("Change", "names")


def whole_lines(path):
    """Calls that others interrupted in the trace are put together again."""
    begun = {}
    with open(path, errors="replace") as file:
        for line in file:
            thread, _, text = line.rstrip("\n").partition(" ")
            text = text.strip()
            if text.endswith("<unfinished ...>"):
                begun[thread] = text[:-len("<unfinished ...>")]
                continue
            resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", text)
            yield begun.pop(thread, "") + resumed.group(1) if resumed else text


def read_trace(path, root):
    """The calls that were done below `root`, with paths relative to it."""
    for line in whole_lines(path):
        found = re.match(r"(\w+)\((.*)\)\s+= (\d+)(<.*>)?$", line)
        if not found or root not in line:
            continue
        name, arguments = found.group(1), found.group(2)
        if name in ("fsync", "fdatasync"):
            paths = [re.match(r"\d+<(.*)>", arguments).group(1)]
        else:
            paths = [os.path.join(folder or "/", last)
                     for folder, last in re.findall(PLACE, arguments)]
        if all(one == root or one.startswith(root + "/") for one in paths):
            yield Call(name, [os.path.relpath(one, root) for one in paths],
                       arguments)


class Disk:

    def __init__(self, root):
        self.root = root
        self.next_inode = 1  # 0 is the root
        self.is_folder = {0: True}
        self.now = {}  # (folder's inode, name) -> inode
        for path, folders, files in os.walk(root):
            of = self.find(os.path.relpath(path, root))
            for name in folders + files:
                self.now[of, name] = self.make(name in folders)
        self.durable = dict(self.now)
        self.pending = []  # changes that no sync has made durable, in order

    def make(self, is_folder):
        self.is_folder[self.next_inode] = is_folder
        self.next_inode += 1
        return self.next_inode - 1

    def find(self, path):
        """Its inode now; None if there is none."""
        inode = 0
        for part in path.split("/"):
            if part != ".":
                inode = self.now.get((inode, part))
        return inode

    def place(self, path):
        return self.find(os.path.dirname(path) or "."), os.path.basename(path)

    def change(self, names):
        self.pending.append(Change(names))
        self.apply(self.now, names)

    @staticmethod
    def apply(tree, names):
        for place, inode in names.items():
            if inode is None:
                tree.pop(place, None)
            else:
                tree[place] = inode

    def do(self, call):
        if call.name in ("fsync", "fdatasync"):
            self.sync(self.find(call.paths[0]))
        elif call.name == "mkdirat":
            self.change({self.place(call.paths[0]): self.make(True)})
        elif call.name == "unlinkat":
            self.change({self.place(call.paths[0]): None})
        elif call.name.startswith("renameat"):
            self.rename(*call.paths, "RENAME_EXCHANGE" in call.flags)
        elif "O_CREAT" in call.flags and self.find(call.paths[0]) is None:
            self.change({self.place(call.paths[0]): self.make(False)})

    def rename(self, source, target, is_exchange):
        moved, other = self.find(source), self.find(target)
        self.change({self.place(source): other if is_exchange else None,
                     self.place(target): moved})

    def sync(self, folder):
        """Each of its names, and what a rename has done elsewhere with it."""
        kept = []
        for change in self.pending:
            if any(place[0] == folder for place in change.names):
                self.apply(self.durable, change.names)
            else:
                kept.append(change)
        self.pending = kept

    def after_a_cut(self, random):
        """{path: inode} of the files that can be found; `random` says of each
        change whether it is there, None that none is."""
        tree = dict(self.durable)
        lost = set()
        for change in self.pending:
            if (random is None or random.random() < 0.5 or
                    lost & change.names.keys()):
                lost |= change.names.keys()
            else:
                self.apply(tree, change.names)
        return self.files(tree)

    def files(self, tree):
        below = collections.defaultdict(list)
        for (folder, name), inode in tree.items():
            below[folder].append((name, inode))
        found = {}
        queue = [("", 0)]
        while queue:
            path, folder = queue.pop()
            for name, inode in below[folder]:
                full = os.path.join(path, name)
                if self.is_folder[inode]:
                    queue.append((full, inode))
                else:
                    found[full] = inode
        return found
