// Package app joins configuration and components: it opens what a flow needs,
// starts it in order, stops it in reverse, and is the only package that sees
// both MongoDB and the search engine.
//
// It holds no logic of the data path. A failure of one flow ends the others in
// an orderly way and becomes the result of Run; nothing here calls os.Exit.
package app
