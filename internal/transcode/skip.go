package transcode

import "bytes"

// valueEnd returns the index behind the value of type t at src[i:], which ends
// before end. Of nested values it checks the frame only.
func valueEnd(src []byte, t byte, i, end int) (int, error) {
	size := 0
	switch t {
	case typeNull, typeUndefined, typeMinKey, typeMaxKey:
	case typeBoolean:
		size = 1
	case typeInt32:
		size = 4
	case typeDouble, typeDate, typeInt64, typeTimestamp:
		size = 8
	case typeObjectID:
		size = 12
	case typeDecimal:
		size = 16
	case typeObject, typeArray:
		return documentEnd(src, i, end)
	case typeString, typeCode, typeSymbol:
		return textEnd(src, i, end)
	case typeBinary:
		if end-i < 5 {
			return 0, corrupt("binary data that is cut off", i)
		}
		size = int(int32(load32(src, i)))
		if size < 0 || size > end-i-5 {
			return 0, corrupt("binary data with a wrong length", i)
		}
		size += 5
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
	case typeScoped:
		if end-i < 4 {
			return 0, corrupt("code that is cut off", i)
		}
		size = int(int32(load32(src, i)))
		if size < 14 {
			return 0, corrupt("code with a wrong length", i)
		}
	default:
		return 0, corrupt("a value of unknown type", i)
	}
	if size > end-i {
		return 0, corrupt("a value that is cut off", i)
	}
	return i + size, nil
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
