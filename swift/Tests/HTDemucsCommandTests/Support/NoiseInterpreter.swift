#if os(Linux)
  import Foundation

  /// A shell script in place of the interpreter: its stems are one noise, of amplitude 0.25, whatever it is asked for.
  ///
  /// It answers for the fixture, at once and without memory, so that the program itself can be run often.
  enum NoiseInterpreter {
    static let sources = 6
    private static let bins = 2048
    private static let frames = 431
    private static let samples = 441_000

    /// Writes the script, and what it reads, into a folder.
    ///
    /// - Parameters:
    ///   - folder: Where to write.
    ///   - hook: Shell commands before each answer; `$request` counts from 1, and the folder is the working directory.
    /// - Returns: The script.
    /// - Throws: If a file cannot be written.
    static func install(in folder: URL, hook: String = ":") throws -> URL {
      try noise.write(to: folder.appending(path: "noise"))
      let script = folder.appending(path: "interpreter")
      try Data(text(hook).utf8).write(to: script)
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script.path)
      return script
    }

    /// A stem of both channels, from a linear congruential generator (Knuth's MMIX).
    private static let noise: Data = {
      var state: UInt64 = 1
      let stem = (0..<2 * samples).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(state >> 40) / Float(1 << 25) - 0.25
      }
      return stem.withUnsafeBytes { Data($0) }
    }()

    private static func value(_ name: String, _ shape: [Int], _ rest: String = "") -> String {
      #"{"name": "\#(name)", "dtype": "float32", "shape": \#(shape)\#(rest)}"#
    }

    private static func array(_ name: String, _ shape: [Int], inReply: Bool) -> String {
      guard inReply else { return value(name, shape) }
      let strides = shape.indices.map { shape[($0 + 1)...].reduce(1, *) }
      return value(name, shape, #", "strides": \#(strides), "bytes": \#(4 * shape.reduce(1, *))"#)
    }

    private static func outputs(inReply: Bool) -> String {
      let spectrogram = [1, sources, 2, bins, frames]
      return [
        array("stems_real", spectrogram, inReply: inReply), array("stems_imag", spectrogram, inReply: inReply),
        array("stems_waveform", [1, sources, 2, samples], inReply: inReply),
      ].joined(separator: ", ")
    }

    private static func text(_ hook: String) -> String {
      let spectrogram = [1, 2, bins, frames]
      let inputs = [
        value("spectrogram_real", spectrogram), value("spectrogram_imag", spectrogram),
        value("waveform", [1, 2, samples]),
      ].joined(separator: ", ")
      let requestBytes = 4 * 2 * (2 * bins * frames + samples)
      let spectrogramBytes = 4 * 2 * sources * 2 * bins * frames
      let stems = [String](repeating: "noise", count: sources).joined(separator: " ")
      return #"""
        #!/usr/bin/env bash
        cd "$(dirname "$0")"
        say() {
          printf "\\x$(printf %02x $((${#1} & 255)))\\x$(printf %02x $((${#1} >> 8)))\\0\\0\\0\\0\\0\\0%s" "$1"
        }
        request=0
        say '{"ready": {"inputs": [\#(inputs)], "outputs": [\#(outputs(inReply: false))]}}'
        while length=$(head -c 8 2>/dev/null | od -An -N2 -tu2) && [[ -n $length ]]; do
          head -c $((length + \#(requestBytes))) >/dev/null
          request=$((request + 1))
          \#(hook)
          say '{"outputs": [\#(outputs(inReply: true))]}'
          head -c \#(spectrogramBytes) /dev/zero
          cat \#(stems)
        done
        """#
    }
  }
#endif
