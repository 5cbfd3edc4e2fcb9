package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// row is one line of the results: a ratio, what it has to be, and what it was
// made of.
type row struct {
	what, got, want string
	ok              bool
	detail          string
}

// atMost and atLeast note a ratio and whether it is as it should be.
func (b *bench) atMost(what string, got, want float64, detail string, args ...any) {
	b.note(row{what, number(got), "at most " + number(want), got <= want, fmt.Sprintf(detail, args...)})
}

func (b *bench) atLeast(what string, got, want float64, detail string, args ...any) {
	b.note(row{what, number(got), "at least " + number(want), got >= want, fmt.Sprintf(detail, args...)})
}

// told notes a figure that has no bound.
func (b *bench) told(what string, got float64, detail string, args ...any) {
	b.note(row{what, number(got), "no bound", true, fmt.Sprintf(detail, args...)})
}

func number(v float64) string {
	if v >= 10 {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	}
	return fmt.Sprintf("%.2f", v)
}

func (b *bench) note(r row) {
	b.rows = append(b.rows, r)
	b.say("   %-60s %8s  (%s) %s\n      %s", r.what, r.got, r.want, r.verdict(), r.detail)
}

func (r row) verdict() string {
	if r.ok {
		return "ok"
	}
	return "**missed**"
}

// method is what the document says before the table.
const method = `# Performance

What sluice costs, as ratios to something that does the least that has to be
done, measured in the same run on the same machine. Written by ` + "`make bench`" + `;
it fails when a bound is missed.

## Method

- A real mongod and a real search engine, each of one node, started by the
  benchmark on the same machine, which they share with what is measured.
- sluice runs with its default settings, as ` + "`sluice sync`" + ` would, in a process of
  its own; so does each baseline. CPU is user and system time of that process
  from its start to its end, peak memory its high-water mark, both as the kernel
  counts them.
- sluice and baseline take turns, five times each. Of each the least CPU and the
  highest rate count: other work on the machine only ever adds to a run. Into
  the engine the medians count, as a merge may fall into a run or not; four
  rounds before let its compiler get warm. Peak memory is that of the worst run.
  Latencies alternate one by one.
- The transcoder is compared in memory and by CPU with that of the garbage
  collector, as other work makes time look longer.
- "Discarding" means that everything is done up to the HTTP request, bulk bodies
  are built and read to their end, and each action is answered by a transport in
  the process that throws them away.
- The archive runs as ` + "`sluice archive run --once`" + ` would, but for the governor,
  which does not mind here what benchmarks before have left in oplog and cache.
- Documents: small 269 bytes with 15 fields, medium 1,525 bytes (an order with
  nested lines), wide 5,329 bytes with 300 fields, large 15,022 bytes (long text,
  100 random doubles). Equal numbers give equal bytes on every machine.

| Row | Baseline |
|---|---|
| transcoder | the driver decodes to a map, ` + "`encoding/json`" + ` writes it: what tools of this kind do today |
| transform | the same transcoder without any rule. Rules that touch nothing are five for names that no document has; the three together choose, rename and cast fields of orders with nested lines |
| scripts | the same scripts on the same engine of JavaScript in one runtime behind a lock, as Monstache does it: each document decoded whole by the driver, and encoded whole after; on all cores, by time |
| snapshot | one cursor of the driver over the collection, and the transcoder into a buffer |
| stream of inserts | the driver's change stream, events read and thrown away |
| stream of updates | the same with ` + "`fullDocument: updateLookup`" + ` |
| into the engine | a loader with all bodies in memory, which sends the same lines in bodies of the same size, by the same request, over as many connections, into an index with the same settings. The engine's CPU is read when both have refreshed and merges have ended |
| latency | insert with the server's default write concern (majority), then index the document by HTTP: the two calls alone, one after the other |
| pack, unpack | go-chive's way: the driver decodes to maps, encodes them as one document, gzip of the standard library |
| archive, end to end | go-chive's loop without its timers: 2,000 documents decoded, written as one document to a file, tar and gzip, copied to a directory, a ` + "`DeleteOne`" + ` per document at once. Nothing is read back or compared |
| deletes | ` + "`DeleteOne`" + ` per document by 16 workers, nothing compared |
| restore | unordered ` + "`InsertMany`" + ` of the same documents in memory; restored ones are read back and compared. Out of packs, they are also read, decompressed and put on hold |
| ten times the documents | the same archive run on a tenth. Phases may overlap: the next pack is read while one is deleted |

`

// write puts the document where it was asked for.
func (b *bench) write(path string) error {
	if path == "" || len(b.rows) == 0 {
		return nil
	}
	var t strings.Builder
	t.WriteString(method)
	fmt.Fprintf(&t, "## Results\n\nMeasured on %s by `make bench`.\n", time.Now().UTC().Format("2006-01-02"))
	if b.scale != 1 {
		fmt.Fprintf(&t, "At %g of the full size, where bounds say nothing.\n", b.scale)
	}
	fmt.Fprintf(&t, "\n- Machine: %s, %s/%s, %s\n", machine(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	if b.mongod != nil {
		fmt.Fprintf(&t, "- MongoDB %s, one node, 1 GB cache\n", b.mongod.Version())
	}
	if b.engineVersion != "" {
		fmt.Fprintf(&t, "- %s, one node, 1 GB heap\n", b.engineVersion)
	}
	t.WriteString("\n| What | Result | Wanted | | Made of |\n|---|---|---|---|---|\n")
	for _, r := range b.rows {
		fmt.Fprintf(&t, "| %s | %s | %s | %s | %s |\n", r.what, r.got, r.want, r.verdict(), r.detail)
	}
	return os.WriteFile(path, []byte(t.String()), 0o644)
}
