"""The durable log: every frame and event on its way out, and the count of every value that did not make it.

Two words, used exactly, here and in what people read:

- **accepted**: handed to the kernel by one `pwrite`. Survives SIGKILL. `append` has returned; cursors read it at once.
- **durable**: `fdatasync` has returned. Survives a power cut. `sync` has returned. It comes every `sync_interval`
  (5 s); sooner where 32 KiB wait, but at least 0.5 s after the last time; and for events, at least 0.1 s after it.

## The directory

    journal/
      lock                        flock of the process that writes
      000000000001.segment …      the log, oldest first; the number only ever grows
      front                       rows of small appends, accepted, until they are a chunk (edge_agent/journal/front.py)
      cursors/NAME.cursor         where one sink is, and what it has counted (edge_agent/journal/slots.py)
      cursors/NAME.quarantine     rows that this sink's destination refused, JSON lines
      damaged/                    bytes that could not be read, set aside, with a .json that says what they were
      long/                       a store of the same make: one-minute rollups and events, which outlast the log
    journal.broken-N/             a whole store that could not be opened, moved aside; collection went on in a new one

Nothing here is ever deleted by hand. All numbers are little-endian.

## Segment
A segment is created under another name, its header written and synced, and then renamed, so a segment that exists has a
header. It is preallocated to `segment_bytes` (zeros after the last chunk) and cut to its length when the next begins.

    header, twice over (either copy will do):
      magic "EAJRNL\\r\\n", version u16, reserved u16, meta length u32, table length u32, table crc u32, crc u32
      meta   JSON: number, first sequence, totals at its start (rows, lost by reason, both also by machine), oldest row,
             what went before that and why, when it was made, when something was last accepted before it, digest of
             the table
      table  zstd(JSON): the tag table of its time, enough to rebuild it whole (edge_agent/journal/table.py)
    chunks, one after the other, no padding

A segment holds rows of one tag table only; another table begins another segment.

## Chunk
76 bytes of head (edge_agent/journal/chunk.py), then the payload. Head and payload have a CRC-32 each; both start from
the segment's number, so that no chunk is ever taken for another file's. A chunk needs nothing of any other chunk.

    magic u32, head crc u32, kind u8, stream u8, version u16, payload length u32, payload crc u32,
    sequence u64, rows u32, events u32, first time i64, last time i64, rows before u64, lost so far u64, written i64

Kinds: *frame* (rows, grouped by tag where tags come again: edge_agent/journal/payload.py), *events* (zstd JSON), *loss*
(JSON: losses at the door so far, by reason), *mark* (JSON: the agent started, or stopped in order), *rollup* (in the
long store only: minutes and events, edge_agent/journal/rollup.py; when they are written says
edge_agent/journal/roller.py). Streams: 0 raw; the others are reserved.

Inside a chunk the rows of a tag stand side by side, as first value and steps, decimals as whole numbers; a plane of
bytes that does not shrink is stored as it is. The order in which rows came is not stored: it follows from the tag
column. Chunks of regular scans begin with the same bytes (plan and tags), so many of them are read by one numpy call,
and one tag's rows without the others (edge_agent/journal/selection.py). A slow signal of one or two decimals takes 0.5
to 1.2 bytes a value in chunks of 4,000 rows, noise in all 52 bits 6.0 to 6.5.

A frame of 4,000 rows or more is a chunk at once. Frames of fewer stand in the front until they are 4,000 rows together,
or until the next sync, event or large frame, and are then written as one chunk with what comes.

Rows are numbered from 0 for the whole life of the store: `rows before` is the number of a chunk's first row. Sequence
numbers count appends, chunks of every kind. A chunk merged of several has the number of the last of them, so the
numbers in the log have holes: who looks for a number takes the first chunk that has it or a higher one, and passes over
rows by their numbers. Neither ever depends on wall time: clocks may jump as they like. `written` is the agent's wall
clock at `append`, for people and gap records only.

## Reading
Two ways. A *cursor* reads in the agent, in order, from where its sink is. A *history* (edge_agent/journal/history.py)
reads tags and times from anywhere: another process, a copy, while the agent writes and retention deletes; it takes no
lock and writes nothing. Whether a chunk is wanted says its own first and last time, never its place in the log.

## Invariants
1. One `append` is one `pwrite`, of an entry in the front or of whole chunks at the tail. If the latter fails, the file
   is cut back: a torn chunk can only be the last thing in the last segment. What stands in the front stays there,
   accepted, until the chunk that it is merged into has been written.
2. What follows the last sound chunk of the last segment is a torn tail: cut when opening, and counted. What the front's
   mark says was durable and is not there is damage, not a torn write.
   Of the front a flipped bit costs one append: those behind it are taken over, and its rows are counted as damaged.
3. A chunk that does not check is skipped; reading goes on at the next head that does. The row numbers of the chunks
   around it say how many rows are missing: nobody has to know what was in it to count it.
4. A cursor is a place (sequence of the next chunk, number of the next row) where live data goes on, an ordered list of
   ranges between two places that are owed, and the counters of all that it has passed, in one checksummed slot: they
   are never apart. Of three slots one is always durable and another one accepted; a write
   takes the third. A cursor that is older than what was delivered only means that rows are delivered again.
5. No number is used twice. If a power cut took chunks that a cursor had already passed, the store goes on after them.
6. Quarantined rows are durable before the cursor passes them; the cursor knows the file's length, and what is after it
   is cut when opening. So the file and the count are one.
7. For each cursor, and for each machine: accepted + lost at the door = delivered + waiting + quarantined + dropped by
   reason, counted from the row where the cursor began (edge_agent/journal/ledger.py).

Reasons the journal itself gives: `retention` (the oldest segment went because of `max_bytes`), `age` (because of
`max_age`), `free_space` (because of `min_free`, or on a full disk when all had it), `damaged` (bytes that no longer
check, or that a power cut took), `quarantine_full` and `quarantine_unavailable`. Others come from `lose` and the sinks.
"""

from edge_agent.journal.cursor import Cursor
from edge_agent.journal.journal import Journal
from edge_agent.journal.ledger import Ledger
from edge_agent.journal.report import Damage, OpenReport

__all__ = ["Cursor", "Damage", "Journal", "Ledger", "OpenReport"]
