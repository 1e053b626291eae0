import Foundation

/// The process's first three descriptors.
enum StandardStreams {
  /// Opens those that whoever started the process has closed.
  ///
  /// Otherwise the next file that is opened, a stem for instance, would get such a number, and what is told would be
  /// written into it. To be called before anything opens a file. Standard input is then empty, writing to standard
  /// output fails, as it would without this, and what goes to standard error is lost.
  static func occupy() {
    for (descriptor, access) in [(STDIN_FILENO, O_RDONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
    where fcntl(descriptor, F_GETFD) == -1 {
      // The lowest number that is free, which this one is.
      guard open("/dev/null", access) == descriptor else { preconditionFailure("/dev/null cannot be opened") }
    }
  }
}
