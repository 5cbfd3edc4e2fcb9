package pack

const (
	// maxDoc is the largest document: MongoDB's 16 MiB with the 16 KiB that it
	// grants itself.
	maxDoc = 16<<20 + 16<<10
	// minDoc is the empty document.
	minDoc = 5
	// maxFrameRaw bounds the BSON of a frame: a document may be as large, and so
	// may WriterOptions.FrameBytes.
	maxFrameRaw = maxDoc
	// maxFrame bounds a frame as it lies in the object: what can't be compressed
	// grows a little.
	maxFrame = maxFrameRaw + maxFrameRaw/128 + 1<<10
	// maxDocs bounds the entries of a manifest; their numbers fit an int32.
	maxDocs = 1 << 24
	// maxHeader bounds the JSON of a manifest, maxBloom its filter, maxColumn a
	// column of the entries.
	maxHeader = 16 << 20
	maxBloom  = 32 << 20
	maxColumn = 1 << 30
	// maxObject is what an object store takes as one object (5 TiB).
	maxObject = 5 << 40
	// maxNesting is how deep a key may be nested; MongoDB allows some 180.
	maxNesting = 256
)

// DefaultFrameBytes is the BSON in a frame unless told otherwise. Measured on
// documents of 1.5 KB (BenchmarkFrameBytes): twice as much gains 0.5 % of the
// ratio and costs twice the time to read one document; half as much loses 1 %.
const DefaultFrameBytes = 256 << 10
