import Foundation

/// Kinds of audio file that matter here, told by their first bytes: for the order of channels, and for whether a file
/// ends before its header says so.
enum AudioContainer: Equatable, Sendable {
  /// WAV, and its 64-bit form RF64.
  case wav
  /// AIFF and AIFF-C.
  case aiff
  /// Core Audio's own.
  case caf
  case flac
  /// Ogg with Vorbis or Opus.
  case ogg
  /// Everything else that the system reads.
  case other

  /// Whether the number of frames that a file states is what can be decoded.
  var statesLength: Bool {
    switch self {
    case .wav, .aiff, .caf, .flac: true
    case .ogg, .other: false
    }
  }

  init(header: [UInt8]) {
    let first = String(decoding: header.prefix(4), as: UTF8.self)
    let kind = String(decoding: header.dropFirst(8).prefix(4), as: UTF8.self)
    switch (first, kind) {
    case ("RIFF", "WAVE"), ("RF64", "WAVE"): self = .wav
    case ("FORM", "AIFF"), ("FORM", "AIFC"): self = .aiff
    case ("caff", _): self = .caf
    case ("fLaC", _): self = .flac
    case ("OggS", _): self = .ogg
    default: self = .other
    }
  }
}

/// Counts the bytes of samples that an uncompressed file's header states beyond what the file holds.
///
/// Decoders read what there is of a cut file and say nothing. A writer that does not know the length states the largest
/// there is, which counts as not stated. Sources: Microsoft and IBM, "Multimedia Programming Interface and Data
/// Specifications 1.0", for WAV; EBU Tech 3306 for RF64; Apple, "Audio Interchange File Format", for AIFF.
///
/// - Parameters:
///   - handle: The file; its position is moved.
///   - container: What the file is; 0 is returned for others than `wav` and `aiff`.
/// - Returns: 0 for a file that is whole.
/// - Throws: If the file cannot be read.
func statedBytesMissing(_ handle: FileHandle, container: AudioContainer) throws -> Int {
  let (samplesChunk, isBigEndian): (String, Bool)
  switch container {
  case .wav: (samplesChunk, isBigEndian) = ("data", false)
  case .aiff: (samplesChunk, isBigEndian) = ("SSND", true)
  default: return 0
  }
  let end = try handle.seekToEnd()
  var position: UInt64 = 12
  var size64: UInt64?
  for _ in 0..<mostChunks where position + 8 <= end {
    try handle.seek(toOffset: position)
    guard let header = try handle.read(upToCount: 36).map([UInt8].init), header.count >= 8 else { return 0 }
    let name = String(decoding: header.prefix(4), as: UTF8.self)
    let size = UInt64(number(header[4..<8], isBigEndian: isBigEndian))
    if name == "ds64", header.count >= 24 { size64 = number(header[16..<24], isBigEndian: false) }
    if name == samplesChunk {
      let stated = size == 0xFFFF_FFFF ? size64 ?? size : size
      if size64 == nil, unstatedSizes.contains(where: { $0.contains(size) }) { return 0 }
      let present = end - position - 8
      return stated > present ? Int(clamping: stated - present) : 0
    }
    position += 8 + size + size % 2
  }
  return 0
}

/// Far more chunks than stand before any file's samples; a file may have hundreds of millions that are empty.
private let mostChunks = 10_000

/// What writers to a pipe state as the size of samples to come.
private let unstatedSizes: [ClosedRange<UInt64>] = [0x7FFF_F000...0x7FFF_FFFF, 0xFFFF_F000...0xFFFF_FFFF]

private func number(_ bytes: ArraySlice<UInt8>, isBigEndian: Bool) -> UInt64 {
  let ordered = isBigEndian ? Array(bytes) : bytes.reversed()
  return ordered.reduce(0) { $0 << 8 | UInt64($1) }
}
