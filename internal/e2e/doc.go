// Package e2e holds the tests of the whole program: the built binary between a
// real mongod and a real search engine, killed, cut off and started again. It
// has no code of the product; its tests carry the build tag integration.
package e2e
