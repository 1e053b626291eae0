import Foundation

/// A new file that is written from its start to its end, and on disk when it is closed.
final class OutputFile {
  private static let bufferBytes = 1 << 18

  let url: URL
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private var isOpen = true

  /// - Parameters:
  ///   - place: Where to write; nothing may be there.
  ///   - url: What the file is called in errors, if not by its place.
  /// - Throws: `AudioProcessingError.unwritable`.
  convenience init(creating place: URL, for url: URL? = nil) throws {
    let descriptor = open(place.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw unwritable(url ?? place, errno) }
    self.init(writingTo: descriptor, url: url ?? place)
  }

  /// - Parameters:
  ///   - descriptor: Of a file that is open for writing; closed by this.
  ///   - url: What the file is called in errors.
  init(writingTo descriptor: Int32, url: URL) {
    self.url = url
    self.descriptor = descriptor
    buffer.reserveCapacity(Self.bufferBytes)
  }

  deinit {
    if isOpen { close(descriptor) }
  }

  func write(_ bytes: some Sequence<UInt8>) throws {
    buffer += bytes
    if buffer.count >= Self.bufferBytes { try flush() }
  }

  /// Writes the memory of `values` as it is, which on every supported system is little-endian.
  func write<Value: BitwiseCopyable>(valuesOf values: [Value]) throws {
    values.withUnsafeBytes { buffer += $0 }
    if buffer.count >= Self.bufferBytes { try flush() }
  }

  /// Reads everything written so far, from the start, in pieces of at most `count` bytes.
  func readBack(_ count: Int, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    try flush()
    var piece = [UInt8](repeating: 0, count: count)
    var position: off_t = 0
    while true {
      let got = piece.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, count, position) }
      guard got >= 0 else { throw unwritable(url, errno) }
      if got == 0 { return }
      position += off_t(got)
      try piece.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[..<got])) }
    }
  }

  /// Brings everything to the disk.
  func finish() throws {
    try flush()
    guard fsync(descriptor) == 0 else { throw unwritable(url, errno) }
    isOpen = false
    guard close(descriptor) == 0 else { throw unwritable(url, errno) }
  }

  private func flush() throws {
    try buffer.withUnsafeBytes { bytes in
      var written = 0
      while written < bytes.count {
        let count = Foundation.write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw unwritable(url, errno) }
        written += count
      }
    }
    buffer.removeAll(keepingCapacity: true)
  }
}

/// Brings a file that is there to the disk.
func synchronise(_ url: URL) throws {
  let descriptor = open(url.path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw unwritable(url, errno) }
  defer { close(descriptor) }
  guard fsync(descriptor) == 0 else { throw unwritable(url, errno) }
}

/// Brings the names in a folder to the disk, where its file system can.
///
/// Several, such as those of network shares, cannot, and a folder that may be written need not be readable: the files in it
/// are as whole without.
func synchronise(folder url: URL) throws {
  let descriptor = open(url.path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else {
    if errno == EACCES || errno == EPERM { return }
    throw unwritable(url, errno)
  }
  defer { close(descriptor) }
  if fsync(descriptor) != 0, errno != EINVAL, errno != ENOTSUP { throw unwritable(url, errno) }
}

/// The error of a system call on a file that is written.
func unwritable(_ url: URL, _ code: Int32) -> AudioProcessingError {
  .unwritable(path: url.path, reason: String(cString: strerror(code)))
}
