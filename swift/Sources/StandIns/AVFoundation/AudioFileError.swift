import Foundation

/// Codes of errors, as in Apple's `AudioFile.h` and `MacErrors.h`.
enum AudioFileStatus: Int {
  /// `wht?`
  case unspecified = 2_003_334_207
  /// `typ?`
  case unsupportedFileType = 1_954_115_647
  /// `fmt?`
  case unsupportedDataFormat = 1_718_449_215
  /// `dta?`
  case invalidFile = 1_685_348_671
  /// `prm?`
  case permissions = 1_886_547_263
  /// `off?`
  case tooLarge = 1_868_981_823
  case diskFull = -34
  case inputOutput = -36
  case endOfFile = -39
  case fileNotFound = -43
  case parameter = -50

  /// The error that this is for a file, with a sentence on what happened and what to do.
  func error(_ url: URL, _ reason: String, underlying: NSError? = nil) -> NSError {
    var userInfo: [String: Any] = [
      NSLocalizedDescriptionKey: "\(url.path(percentEncoded: false)): \(reason)", NSURLErrorKey: url,
    ]
    userInfo[NSUnderlyingErrorKey] = underlying
    return NSError(domain: NSOSStatusErrorDomain, code: rawValue, userInfo: userInfo)
  }

  /// The error that a failed call of the system is.
  static func error(_ url: URL, _ action: String, errno code: CInt) -> NSError {
    let status: AudioFileStatus =
      switch code {
      case ENOENT, ENOTDIR: .fileNotFound
      case EACCES, EPERM, EROFS: .permissions
      case ENOSPC, EDQUOT, EFBIG: .diskFull
      default: .inputOutput
      }
    return status.error(
      url, "\(action): \(String(cString: strerror(code)))",
      underlying: NSError(domain: NSPOSIXErrorDomain, code: Int(code)))
  }
}
