/// What precedes the samples of a stereo WAV file, or of an RF64 file if it is longer than 4 GiB.
///
/// The same bytes as the Python package's. Sources: Microsoft and IBM, "Multimedia Programming Interface and Data
/// Specifications 1.0" and "New Multimedia Data Types", 1994, for WAV; EBU Tech 3306 for RF64.
func wavHeader(_ encoding: AudioFileFormat.Encoding, sampleRateHz: Int, frames: Int) -> [UInt8] {
  let sampleBytes = (encoding.integerBits ?? 32) / 8
  let frameBytes = 2 * sampleBytes
  let dataBytes = frames * frameBytes
  let isFloat = encoding == .float32
  let layout =
    bytes(UInt16(isFloat ? 3 : 1)) + bytes(UInt16(2)) + bytes(UInt32(sampleRateHz))
    + bytes(UInt32(truncatingIfNeeded: sampleRateHz * frameBytes)) + bytes(UInt16(frameBytes))
    + bytes(UInt16(8 * sampleBytes))
  var chunks = chunk("fmt ", isFloat ? layout + [0, 0] : layout)
  if isFloat { chunks += chunk("fact", bytes(UInt32(clamping: frames))) }
  let riffBytes = 4 + chunks.count + 8 + dataBytes
  if riffBytes <= UInt32.max {
    return Array("RIFF".utf8) + bytes(UInt32(riffBytes)) + Array("WAVE".utf8) + chunks + Array("data".utf8)
      + bytes(UInt32(dataBytes))
  }
  let sizes = chunk(
    "ds64", bytes(UInt64(riffBytes + 36)) + bytes(UInt64(dataBytes)) + bytes(UInt64(frames)) + bytes(UInt32(0)))
  return Array("RF64".utf8) + bytes(UInt32.max) + Array("WAVE".utf8) + sizes + chunks + Array("data".utf8)
    + bytes(UInt32.max)
}

private func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
  Array(name.utf8) + bytes(UInt32(content.count)) + content
}

private func bytes(_ number: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: number.littleEndian) { Array($0) }
}
