package config

// Parse is Load for text that no file holds, such as a translated configuration:
// name stands for it in messages, and ${file:…} and ${NAME} count as in a file.
func Parse(name string, text []byte, over Overrides) (*Config, error) {
	return load(name, text, over, osLookup())
}
