// Package scriptmongo is a MongoDB server that plays scripts: it speaks OP_MSG
// well enough for the Go driver to take it for the primary of a replica set (or
// a mongos), serves the documents it was given to simple finds, and sends the
// change events that it was told to, reply by reply, errors included.
//
// It must not grow into a database: it takes no writes, its filters know _id
// alone, and streams filter nothing, whatever their pipeline says. What a real
// mongod can be made to do is tested on a real one.
//
// The script of events is one queue for the whole server. Each getMore of a
// change stream takes the next Reply, whichever cursor asks; so after an error
// the stream that is opened next goes on with the next Reply, and the author of
// the script decides what the resume shows. Opens tells how streams were opened.
//
// Failure modes: a command that it does not know is answered with 59
// (CommandNotFound), a filter that it does not know with 9 (FailedToParse).
package scriptmongo
