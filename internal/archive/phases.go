package archive

import "time"

// Phases tells where the time of a Run went. Ranges that are read at a time and
// the packs that are finished meanwhile overlap, so the sum may be more than
// the time of the Run. The waits of the governor are in Pack and Delete.
type Phases struct {
	// Read waits for documents; Pack hashes, compresses and spools them.
	Read time.Duration `json:"read_ns"`
	Pack time.Duration `json:"pack_ns"`
	// Upload, Verify and Commit bring a pack and its manifest to their place.
	Upload time.Duration `json:"upload_ns"`
	Verify time.Duration `json:"verify_ns"`
	Commit time.Duration `json:"commit_ns"`
	// Delete compares and deletes, and writes the outcomes.
	Delete time.Duration `json:"delete_ns"`
}

// spent adds the time since a moment to a phase of the report, and takes it out
// of another that it lies within; either may be nil.
func (j *job) spent(in, outOf *time.Duration, since time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	took := time.Since(since)
	if in != nil {
		*in += took
	}
	if outOf != nil {
		*outOf -= took
	}
}
