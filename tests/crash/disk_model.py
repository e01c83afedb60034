"""
What a disk may hold after the power failed: a model of files and directories that is fed with the
record of a build with FAULTS=1 (common/os/disk_record.h), entry by entry. At each moment it knows
what is durable, because a sync that was successful covers it, and what is pending: each write that
no sync has covered may be there, not at all, or in part, by sectors of 512 octets, in any order; so
may each name that no sync of its directory has covered.

    entries --feed()--> Disk --pending()--> [Op]     a choice of what of them is there
                             --lay_out(choice, folder)--> files, as they would be found

Two readings of the rules: `atomic`, a rename is there as a whole, as all file systems in use do it;
else as POSIX has it, where its two names may survive or be lost each by itself.
"""
import collections
import os
import random
import struct

SECTOR = 512
MAGIC = 0x31525044
HEAD = struct.Struct("<IIQIBBBBiIQQQQQQ")
BEGINS, ENDS, MARK = range(3)
LIED = 1000
NO_PROMISE = ("lock", "queue.lock", "looking", "looking.scan", "looking.read")    # what a death of all may take along
AT_POSITION = (1 << 64) - 1
OPS = ("open create close read write fdatasync fsync fsync-dir sync-all writeback allocate truncate link unlink rename mkdir "
       "rmdir stat mode space list").split()
SYNCS = {"fdatasync", "fsync", "fsync-dir", "sync-all"}
O_CREAT, O_TRUNC = os.O_CREAT, os.O_TRUNC

Entry = collections.namedtuple("Entry", "call pid phase op skipped result flags file to offset length role name other data")


def entry_of(whole):
    (_, _, call, pid, phase, op, skipped, _, result, flags, device, inode, to_device, to_inode, offset, length) = HEAD.unpack_from(whole)
    role, name, other, data = whole[HEAD.size:].split(b"\0", 3)
    return Entry(call, pid, phase, OPS[op], skipped, result, flags, (device, inode), (to_device, to_inode), offset, length,
                 role.decode(), os.fsdecode(name), os.fsdecode(other), data)


def entries_of(path):
    """The record, in the order of things."""
    octets = path.read_bytes()
    at = 0
    while at < len(octets):
        magic, size = struct.unpack_from("<II", octets, at)
        assert magic == MAGIC and at + size <= len(octets), f"{path} is no record at {at}"
        yield entry_of(octets[at:at + size])
        at += size


def mark(path, text):
    """An entry of the test's own: what the world has seen by now."""
    name = text.encode()
    whole = HEAD.pack(MAGIC, HEAD.size + len(name) + 3, 0, os.getpid(), MARK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) + b"\0" + name + b"\0\0"
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(fd, whole)
    os.close(fd)


class File:
    def __init__(self, device):
        self.device, self.base, self.pending, self.size = device, bytearray(), [], 0


class Folder:
    """live: as the kernel shows it now. known: we look at it (else it is of no interest)."""

    def __init__(self, device, known=True):
        self.device, self.base, self.pending, self.live, self.known = device, {}, [], {}, known


class Op:
    """One change of one node: write, size (truncate and allocate), name, noname."""
    __slots__ = ("number", "kind", "node", "at", "data", "name", "target", "before", "pair", "ended", "durable", "lost")

    def __init__(self, number, kind, node, at=0, data=b"", name=None, target=None):
        self.number, self.kind, self.node, self.at, self.data, self.name, self.target = number, kind, node, at, data, name, target
        self.before, self.pair = None, None     # what the name was
        self.ended, self.durable, self.lost = False, False, False

    def is_name(self):
        return self.kind in ("name", "noname")

    def sectors(self):
        return (self.at + len(self.data) - 1) // SECTOR - self.at // SECTOR + 1

    def __repr__(self):
        return f"{self.number}:{self.kind} {self.name or self.at}+{len(self.data)}"


Torn = collections.namedtuple("Torn", "there grown garbage")   # sectors that are there; is the size; what lies between


def fresh_octets(count, garbage):
    return random.Random(garbage).randbytes(count) if garbage else bytes(count)


def put(octets, op, how):
    """A change of a file's octets; how: True or Torn."""
    if op.kind == "size":
        if op.data == b"truncate" and op.at < len(octets):
            del octets[op.at:]
        if op.at > len(octets):
            octets.extend(bytes(op.at - len(octets)))
        return
    if how is True:
        if op.at > len(octets):
            octets.extend(bytes(op.at - len(octets)))
        octets[op.at:op.at + len(op.data)] = op.data
        return
    first, end = op.at // SECTOR, op.at + len(op.data)
    if how.grown and end > len(octets):
        octets.extend(fresh_octets(end - len(octets), how.garbage))
    for i in sorted(how.there):
        begin, stop = max(op.at, (first + i) * SECTOR), min(end, (first + i + 1) * SECTOR)
        if begin > len(octets):
            octets.extend(fresh_octets(begin - len(octets), how.garbage))
        octets[begin:stop] = op.data[begin - op.at:stop - op.at]


class Disk:
    def __init__(self, folder, parts):
        """folder: what lies there now, and itself, is durable; parts: the names in it that matter."""
        self.path, self.parts = str(folder), parts
        self.nodes = {}         # (device, inode) -> node
        self.root = self._take(str(folder))
        self.open = {}          # call -> (entry, ops, covered)
        self.retried = []       # syncs of a file of which one had failed before
        self.number = self.version = 0
        self.marks = []
        self.failed = collections.defaultdict(set)      # node -> pids that heard of a failed sync
        self.syncs = self.failures = self.lies = 0
        self.kinds = collections.Counter()      # of syncs that were done

    def _take(self, path, known=None):
        st = os.lstat(path)
        if not os.path.isdir(path):
            node = File(st.st_dev)
            with open(path, "rb") as f:
                node.base = bytearray(f.read())
            node.size = len(node.base)
        else:
            node = Folder(st.st_dev, known is not False)
            for name in os.listdir(path):
                inside = known if known is not None else name in self.parts
                if not inside or name in NO_PROMISE or not os.path.isfile(f"{path}/{name}") and not os.path.isdir(f"{path}/{name}"):
                    continue
                node.base[name] = self._take(f"{path}/{name}", True)
            node.live = dict(node.base)
        self.nodes[st.st_dev, st.st_ino] = node
        return node

    # What the record says

    def _folder(self, identity, name):
        """The directory of a name and the last part of it; None: not one of ours."""
        if name.startswith("/"):
            if not name.startswith(self.path + "/"):
                return None, name
            node, name = self.root, name[len(self.path) + 1:]
        else:
            node = self.nodes.get(identity)
        *way, last = name.split("/")
        for part in way:
            node = node.live.get(part) if isinstance(node, Folder) else None
        if not isinstance(node, Folder) or not node.known:
            return None, last
        if node is self.root and last not in self.parts or last in NO_PROMISE:
            return None, last   # places where nothing lies that was promised
        return node, last

    def _op(self, *arguments, **keywords):
        self.number += 1
        op = Op(self.number, *arguments, **keywords)
        op.node.pending.append(op)
        return op

    def _name(self, folder, name, target):
        op = self._op("name", folder, name=name, target=target)
        op.before = folder.live.get(name)
        folder.live[name] = target
        return op

    def _noname(self, folder, name):
        op = self._op("noname", folder, name=name)
        op.before = folder.live.pop(name, None)
        return op

    def _begin(self, e):
        node = self.nodes.get(e.file)
        if e.op in ("write", "truncate", "allocate"):
            return self._data(e, node) if isinstance(node, File) else []
        if e.op in ("open", "create"):
            return self._make(e)
        if e.op == "mkdir":
            folder, name = self._folder(e.file, e.name)
            return [] if folder is None or name in folder.live else [self._name(folder, name, Folder(folder.device))]
        if e.op in ("unlink", "rmdir"):
            folder, name = self._folder(e.file, e.name)
            return [] if folder is None or name not in folder.live else [self._noname(folder, name)]
        if e.op in ("link", "rename"):
            return self._move(e, node)
        return []

    def _data(self, e, node):
        if e.op == "write":
            at = node.size if e.offset == AT_POSITION else e.offset
            node.size = max(node.size, at + len(e.data))
            return [self._op("write", node, at=at, data=e.data)] if e.data else []
        if e.op == "allocate" and e.length <= node.size:
            return []
        node.size = e.length
        return [self._op("size", node, at=e.length, data=e.op.encode())]

    def _make(self, e):
        if e.flags & os.O_TMPFILE == os.O_TMPFILE:
            return [Op(0, "unnamed", File(e.file[0]))]
        folder, name = self._folder(e.file, e.name)
        if folder is None:
            return []
        there = folder.live.get(name)
        if e.op == "open" and not e.flags & (O_CREAT | O_TRUNC):
            return []   # a directory
        if there is None:
            return [self._name(folder, name, File(folder.device))] if e.op == "create" or e.flags & O_CREAT else []
        if e.op == "open" and e.flags & O_TRUNC and isinstance(there, File) and there.size:
            there.size = 0
            return [self._op("size", there, at=0, data=b"truncate")]
        return []

    def _move(self, e, node):
        to, new = self._folder(e.to, e.other)
        if e.op == "link" and not e.name:   # of a file without a name
            return [self._name(to, new, node)] if to is not None and isinstance(node, File) and new not in to.live else []
        source, old = self._folder(e.file, e.name)
        target = source.live.get(old) if source is not None else None
        if target is None or to is None:
            return []
        if e.op == "link":
            return [self._name(to, new, target)] if new not in to.live else []
        gone, come = self._noname(source, old), self._name(to, new, target)
        gone.pair, come.pair = come, gone
        return [gone, come]

    def _covered(self, e):
        if e.op == "sync-all":
            nodes = {id(n): n for n in self.nodes.values() if n.device == e.file[0]}.values()
        else:
            nodes = [self.nodes[e.file]] if e.file in self.nodes else []
        return [op for n in nodes for op in n.pending if op.ended]

    @staticmethod
    def _undo(ops):
        """It did not happen. (Of a write that failed a part may have.)"""
        for op in reversed(ops):
            if op.kind == "write" or not op.number:
                continue
            op.node.pending.remove(op)
            if op.is_name():
                op.node.live.pop(op.name, None)
                if op.before is not None:
                    op.node.live[op.name] = op.before

    def feed(self, e):
        """True: something has changed."""
        if e.phase == MARK:
            self.marks.append(e.name)
            self.version += 1
            return True
        if e.role == "log":
            return False
        if e.phase == BEGINS:
            covered = self._covered(e) if e.op in SYNCS else []
            ops = self._begin(e)
            self.open[e.call] = (e, ops, covered)
            return any(op.number for op in ops)
        begun, ops, covered = self.open.pop(e.call, (None, [], []))
        if begun is None:
            return False
        if e.op in SYNCS:
            return self._synced(e, begun, covered)
        if e.result != 0:
            self._undo(ops)
            return bool(ops)
        for op in ops:
            op.ended = True
        if e.op in ("open", "create"):
            self._meet(e, begun, ops)
        return False

    def _meet(self, e, begun, ops):
        """The number of a file or directory is known when it is opened."""
        if ops and ops[0].kind == "unnamed":
            self.nodes[e.to] = ops[0].node
            return
        folder, name = self._folder(begun.file, begun.name)
        node = folder.live.get(name) if folder is not None else None
        if node is not None:
            self.nodes[e.to] = node

    def _synced(self, e, begun, covered):
        node = self.nodes.get(begun.file)
        if e.result == LIED:
            self.lies += 1
            return False
        if e.result != 0:
            self.failures += 1
            if node is not None:
                self.failed[id(node)].add(e.pid)
            for op in covered:      # the kernel calls them clean now, and has lost them
                op.lost = True
            return False
        self.syncs += 1
        self.kinds[e.op] += 1
        if e.op != "sync-all" and isinstance(node, File) and self.failed.get(id(node)):
            self.retried.append(e)
        changed = False
        for op in covered:
            if not op.lost and not op.durable:
                op.durable = changed = True
        if changed:
            self.version += 1
            for node in {id(op.node): op.node for op in covered}.values():
                self._fold(node)
        return changed

    @staticmethod
    def _fold(node):
        """What is durable from the first pending one on becomes the ground."""
        while node.pending and node.pending[0].durable:
            op = node.pending.pop(0)
            if isinstance(node, File):
                put(node.base, op, True)
            elif op.kind == "name":
                node.base[op.name] = op.target
            else:
                node.base.pop(op.name, None)

    # What may be left

    def pending(self):
        """Of what can be reached by any name that is or may be there, in the order of things."""
        found, seen, todo = [], set(), [self.root]
        while todo:
            node = todo.pop()
            if node is None or id(node) in seen:
                continue
            seen.add(id(node))
            found += [op for op in node.pending if not op.durable]
            if isinstance(node, Folder):
                todo += [*node.base.values(), *(op.target for op in node.pending if op.kind == "name")]
        return sorted(found, key=lambda op: op.number)

    def _there(self, op, choice, atomic):
        if op.durable or choice.get(op.number):
            return True
        # a file system that renames whole has both when it has one
        return atomic and op.pair is not None and (op.pair.durable or bool(choice.get(op.pair.number)) or
                                                   op.pair not in op.pair.node.pending)

    def _octets(self, node, choice):
        if not node.pending:
            return node.base
        octets = bytearray(node.base)
        for op in node.pending:
            how = True if op.durable else choice.get(op.number)
            if how:
                put(octets, op, how)
        return octets

    def _names(self, node, choice, atomic):
        names = dict(node.base)
        for op in node.pending:
            if not self._there(op, choice, atomic):
                continue
            if op.kind == "name":
                names[op.name] = op.target
            else:
                names.pop(op.name, None)
        return names

    def lay_out(self, choice, path, atomic=True, node=None):
        """choice: number -> True (all of it) or Torn, of the pending ones that are there."""
        node = node or self.root
        for name, target in self._names(node, choice, atomic).items():
            where = f"{path}/{name}"
            if isinstance(target, Folder):
                os.mkdir(where)
                self.lay_out(choice, where, atomic, target)
            elif isinstance(target, File):
                octets = self._octets(target, choice)
                fd = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                os.write(fd, octets.rstrip(b"\0"))
                os.ftruncate(fd, len(octets))
                os.close(fd)
