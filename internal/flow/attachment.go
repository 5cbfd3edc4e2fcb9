package flow

// Attachment is content that belongs into the indexed document and lies elsewhere
// in MongoDB: a file. It is let go when the change has its verdict.
type Attachment struct {
	// Field is the name that it gets in the document, in the place of a field of
	// that name. It needs no escape in JSON.
	Field string
	// Text is the content in base64; empty for a file that is empty, and for one
	// whose content is left out.
	Text []byte
	// Pipeline is the ingest pipeline of this document, whatever other there is.
	Pipeline string
	// Flaw, if not nil, says why Text is not the content although it should be. The
	// document is written all the same; its dead letter tells that, and stays
	// open until the content is whole.
	Flaw *Verdict
}
