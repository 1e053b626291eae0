import Foundation

/// Whether a file of samples ends before its container says so; libsndfile reads what there is and says nothing.
///
/// A compressed file that states its length (FLAC, most MP3) is found out by reading it.
enum Truncation {
  /// Bytes that the header of an uncompressed file states beyond what the file holds; 0 for one that is whole.
  ///
  /// Where libsndfile found another size than stated, its log says `(should be N)`. Writers into a pipe state the
  /// largest size there is, and a wrong size of a WAV's outer chunk alone loses no sample.
  static func missingBytes(libsndfileLog: String) -> Int {
    let statement = /^\s*(?:data|SSND|Data Size|riff|Riff size)\s*:\s*(\d+) \(should be (\d+)\)/
      .anchorsMatchLineEndings()
    for match in libsndfileLog.matches(of: statement) {
      guard let stated = Int(match.1), let present = Int(match.2), stated > present else { continue }
      let isUnknown = (0x7FFF_F000...0x7FFF_FFFF).contains(stated) || (0xFFFF_F000...0xFFFF_FFFF).contains(stated)
      if !isUnknown { return stated - present }
    }
    return 0
  }

  /// Whether an Ogg file lacks pages, the one that is marked as a stream's last included.
  ///
  /// What follows a last page and is no page, such as a tag, does not matter. Source: RFC 3533, section 6.
  static func lacksOggPages(_ url: URL) throws -> Bool {
    let file = try FileHandle(forReadingFrom: url)
    defer { try? file.close() }
    let size = try file.seekToEnd()
    var nextNumbers: [[UInt8]: UInt32] = [:]
    var betweenStreams = false
    var start: UInt64 = 0
    while start < size {
      try file.seek(toOffset: start)
      let header = [UInt8](try file.read(upToCount: 27) ?? Data())
      guard header.count == 27, header.starts(with: Array("OggS".utf8)) else { break }
      let serial = Array(header[14..<18])
      let number = header[18..<22].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      let segments = try file.read(upToCount: Int(header[26])) ?? Data()
      let end = start + 27 + UInt64(header[26]) + segments.reduce(UInt64(0)) { $0 + UInt64($1) }
      guard nextNumbers[serial, default: number] == number, end <= size else { return true }
      nextNumbers[serial] = number &+ 1
      betweenStreams = header[5] & 4 != 0
      start = end
    }
    return !betweenStreams
  }
}
