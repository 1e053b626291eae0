import CSndfile
import Foundation

/// An open file, which libsndfile reads or writes through calls of this class, so that what the system says is not lost.
final class FileAccess {
  private let descriptor: CInt
  private let hidesLength: Bool
  /// The first error of reading or writing, as in `errno`; else 0.
  private(set) var failure: CInt = 0

  /// A regular file to be read.
  ///
  /// - Parameters:
  ///   - url: Where it is.
  ///   - hidesLength: Do as if the file's end could not be seen from its beginning, as that of a pipe.
  /// - Throws: If the file is missing, empty or none, or may not be read.
  init(reading url: URL, hidesLength: Bool = false) throws {
    // Without O_NONBLOCK, opening a named pipe would wait for its writer.
    descriptor = url.withUnsafeFileSystemRepresentation { $0.map { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) } ?? -1 }
    self.hidesLength = hidesLength
    guard descriptor >= 0 else { throw AudioFileStatus.error(url, "the file cannot be read", errno: errno) }
    var status = stat()
    fstat(descriptor, &status)
    switch status.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw AudioFileStatus.unspecified.error(url, "this is a folder; name the audio files in it")
    default: throw AudioFileStatus.unspecified.error(url, "this is not a regular file; audio is read more than once")
    }
    guard status.st_size > 0 else { throw AudioFileStatus.invalidFile.error(url, "the file is empty (0 bytes)") }
  }

  /// A new file, in place of what there was.
  init(writing url: URL) throws {
    descriptor = url.withUnsafeFileSystemRepresentation {
      $0.map { open($0, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666) } ?? -1
    }
    hidesLength = false
    guard descriptor >= 0 else { throw AudioFileStatus.error(url, "the file cannot be written", errno: errno) }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Empties the file, so that nobody takes a part for the whole.
  func discard() { ftruncate(descriptor, 0) }

  /// The calls for `sf_open_virtual`, whose last argument has to be `pointer`.
  static var calls: SF_VIRTUAL_IO {
    SF_VIRTUAL_IO(
      get_filelen: { FileAccess.at($0).length() }, seek: { FileAccess.at($2).seek($0, $1) },
      read: { bytes, count, file in
        FileAccess.at(file).transfer(count) { descriptor, done, rest in
          Glibc.read(descriptor, bytes.map { $0 + done }, rest)
        }
      },
      write: { bytes, count, file in
        FileAccess.at(file).transfer(count) { descriptor, done, rest in
          Glibc.write(descriptor, bytes.map { $0 + done }, rest)
        }
      },
      tell: { FileAccess.at($0).seek(0, SEEK_CUR) })
  }

  /// This object, for as long as something else retains it.
  var pointer: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

  private static func at(_ pointer: UnsafeMutableRawPointer?) -> FileAccess {
    guard let pointer else { preconditionFailure("libsndfile lost its file") }
    return Unmanaged<FileAccess>.fromOpaque(pointer).takeUnretainedValue()
  }

  private func length() -> sf_count_t {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? sf_count_t(status.st_size) : -1
  }

  private func seek(_ offset: sf_count_t, _ origin: CInt) -> sf_count_t {
    hidesLength && origin == SEEK_END ? -1 : sf_count_t(lseek(descriptor, off_t(offset), origin))
  }

  private func transfer(_ bytes: sf_count_t, _ call: (CInt, Int, Int) -> Int) -> sf_count_t {
    var done = 0
    while done < bytes {
      let count = call(descriptor, done, Int(bytes) - done)
      if count < 0 && errno == EINTR { continue }
      if count < 0 && failure == 0 { failure = errno }
      guard count > 0 else { break }
      done += count
    }
    return sf_count_t(done)
  }
}
