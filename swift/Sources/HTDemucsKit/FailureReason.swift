import Foundation

/// Why something that the system was asked for failed, as a part of a sentence, without a full stop.
///
/// - Parameter error: What the system threw.
/// - Returns: What the failed system call says, where there was one; else the error's reason, else its description.
package func failureReason(_ error: any Error) -> String {
  let system = error as NSError
  let underlying = system.userInfo[NSUnderlyingErrorKey] as? NSError
  for cause in [system, underlying].compactMap(\.self) where cause.domain == NSPOSIXErrorDomain {
    return String(cString: strerror(Int32(cause.code)))
  }
  let text = system.localizedFailureReason ?? error.localizedDescription
  return text.hasSuffix(".") ? String(text.dropLast()) : text
}
