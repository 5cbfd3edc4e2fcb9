package transcode

import "bytes"

// valueEnd returns the index behind the value of type t at src[i:], which ends
// before end. Of nested values it checks the frame only.
func valueEnd(src []byte, t byte, i, end int) (int, error) {
	var size int
	switch t {
	case typeObject, typeArray:
		return documentEnd(src, i, end)
	case typeString, typeCode, typeSymbol:
		return textEnd(src, i, end)
	case typeRegex:
		k, err := cstringEnd(src, i, end)
		if err != nil {
			return 0, err
		}
		return cstringEnd(src, k, end)
	case typeDBPointer:
		k, err := textEnd(src, i, end)
		if err != nil {
			return 0, err
		}
		i, size = k, 12
	case typeBinary:
		if end-i < 5 || int32(load32(src, i)) < 0 {
			return 0, corrupt("binary data with a wrong length", i)
		}
		size = 5 + int(load32(src, i))
	case typeScoped:
		if end-i < 4 || int32(load32(src, i)) < 14 {
			return 0, corrupt("code with a wrong length", i)
		}
		size = int(load32(src, i))
	default:
		if size = fixedSize(t); size < 0 {
			return 0, corrupt("a value of unknown type", i)
		}
	}
	if size > end-i {
		return 0, corrupt("a value that is cut off", i)
	}
	return i + size, nil
}

// fixedSize is the size of values of a type that has one, else -1.
func fixedSize(t byte) int {
	switch t {
	case typeNull, typeUndefined, typeMinKey, typeMaxKey:
		return 0
	case typeBoolean:
		return 1
	case typeInt32:
		return 4
	case typeDouble, typeDate, typeInt64, typeTimestamp:
		return 8
	case typeObjectID:
		return 12
	case typeDecimal:
		return 16
	}
	return -1
}

// textEnd is valueEnd for a string with its length before it.
func textEnd(src []byte, i, end int) (int, error) {
	if end-i < 5 {
		return 0, corrupt("a text that is cut off", i)
	}
	size := int(int32(load32(src, i)))
	if size < 1 || size > end-i-4 || src[i+4+size-1] != 0 {
		return 0, corrupt("a text with a wrong length", i)
	}
	return i + 4 + size, nil
}

// cstringEnd returns the index behind the NUL that ends the text at src[i:].
func cstringEnd(src []byte, i, end int) (int, error) {
	k := bytes.IndexByte(src[i:end], 0)
	if k < 0 {
		return 0, corrupt("a text without its end", i)
	}
	return i + k + 1, nil
}
