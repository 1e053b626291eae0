#if os(Linux)
  import Foundation
  import XCTest

  /// Files as people have them, and what is none.
  final class InputTests: ProgramTestCase {
    // MARK: - Names

    func testAnyNameOfAFileIsTheNameOfItsFolder() throws {
      let longest = String(repeating: "x", count: 255)
      let names = [
        ("two words.wav", "two words"), (#"q'u"o`te$x.wav"#, #"q'u"o`te$x"#), ("new\nline.wav", "new\nline"),
        ("-dash.wav", "-dash"), ("🎸🥁.wav", "🎸🥁"), ("e\u{301}.wav", "e\u{301}"), ("noSuffix", "noSuffix"),
        (".hidden", ".hidden"), ("%41%2F.wav", "%41%2F"), ("a:b#c?.wav", "a:b#c?"), (longest, longest),
      ]
      for (name, _) in names { try song(name, seconds: 0.01) }
      let end = try run(["separate", "-o", "stems", "--stems", "bass", "--json", "--quiet", "--"] + names.map(\.0))
      XCTAssertEqual(end.code, 0, end.errors)
      let folders = try FileManager.default.contentsOfDirectory(atPath: url("stems").path)
      // Compared as bytes: strings would be equal however they are composed.
      XCTAssertEqual(Set(folders.map { Array($0.utf8) }), Set(names.map { Array($0.1.utf8) }))
      XCTAssertEqual(end.output.split(separator: "\n").count, names.count + 1)
    }

    func testNamesThatDifferOnlyInCaseAreNotSeparatedIntoOneFolder() throws {
      try song("Song.wav")
      try song("song.wav")
      let end = try run(["separate", "Song.wav", "song.wav", "-o", "stems"])
      XCTAssertEqual(end.code, 2)
      XCTAssertTrue(end.errors.contains("Song.wav and song.wav would have the same folder of stems"), end.errors)
      XCTAssertFalse(FileManager.default.fileExists(atPath: url("stems").path))
    }

    // MARK: - Kinds

    func testFilesOfManyKindsAreSeparatedAtTheirRateAndLength() throws {
      let quiet = 1000
      try wav("one.wav", frames: 1, payload: Data(count: 4))
      try wav("int8.wav", bits: 8, frames: quiet, payload: Data(repeating: 128, count: 2 * quiet))
      try wav("int24.wav", bits: 24, frames: quiet, payload: Data(count: 6 * quiet))
      try wav("float64.wav", kind: 3, bits: 64, frames: quiet, payload: Data(count: 16 * quiet))
      try wav("mono.wav", channels: 1, frames: quiet, payload: Data(count: 2 * quiet))
      for rate in [8000, 11_025, 192_000] {
        try wav("\(rate).wav", rate: rate, frames: quiet, payload: Data(count: 4 * quiet))
      }
      // WAVE_FORMAT_EXTENSIBLE: 22 more bytes, valid bits, six speakers, and the identifier of PCM.
      let surround: [UInt8] =
        [22, 0, 16, 0, 0x3F, 0, 0, 0] + [1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71]
      try wav(
        "surround.wav", kind: 0xFFFE, channels: 6, extra: surround, frames: quiet, payload: Data(count: 12 * quiet))
      let files = [
        ("one", 1, 44_100), ("int8", quiet, 44_100), ("int24", quiet, 44_100), ("float64", quiet, 44_100),
        ("mono", quiet, 44_100), ("8000", quiet, 8000), ("11025", quiet, 11_025), ("192000", quiet, 192_000),
        ("surround", quiet, 44_100),
      ]
      let end = try run(
        ["separate", "-o", "stems", "--stems", "bass", "--downmix", "--quiet"] + files.map { "\($0.0).wav" })
      XCTAssertEqual(end.code, 0, end.errors)
      for (name, frames, rate) in files {
        let stem = try Data(contentsOf: url("stems/\(name)/bass.wav"))
        XCTAssertEqual(stem.count, 58 + 8 * frames, name)
        XCTAssertEqual(stem[24..<28].reversed().reduce(0) { $0 << 8 | Int($1) }, rate, name)
      }
    }

    func testWhatIsNoAudioIsToldInOneLineAndTheOthersAreSeparated() throws {
      try song()
      try wav("none.wav", frames: 0, payload: Data())
      try wav("short.wav", frames: 1_000_000_000, payload: Data(count: 10))
      try wav("nan.wav", kind: 3, bits: 32, frames: 3, payload: Data(count: 16) + Data(repeating: 0xFF, count: 8))
      try wav("surround.wav", channels: 6, frames: 10, payload: Data(count: 120))
      try Data("this is no audio\n".utf8).write(to: url("text.wav"))
      try FileManager.default.createDirectory(at: url("folder.wav"), withIntermediateDirectories: true)
      XCTAssertEqual(mkfifo(url("pipe.wav").path, 0o600), 0)
      let told = [
        ("none.wav", "it has no samples"), ("short.wav", "3999999990 bytes of its samples are missing"),
        ("nan.wav", "the sample at 0.000 s is NaN or infinite"), ("surround.wav", "There are 6 channels"),
        ("text.wav", "not an audio file"), ("folder.wav", "it is a folder"), ("pipe.wav", "it is not a regular file"),
        ("/dev/zero", "it is not a regular file"), ("missing.wav", "there is no such file"),
      ]
      let end = try run(["separate", "-o", "stems", "--quiet", "song.wav"] + told.map(\.0))
      XCTAssertEqual(end.code, 1)
      let lines = end.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
      XCTAssertEqual(lines.count, told.count, end.errors)
      for (name, reason) in told {
        XCTAssertTrue(lines.contains { $0.contains(name) && $0.contains(reason) }, "\(name): \(end.errors)")
      }
      XCTAssertEqual(contents(of: "stems"), Self.whole("song"))
    }

    // MARK: - Changes

    func testAFileThatIsWrittenToWhileItIsReadIsTold() throws {
      for change in [
        "truncate -s 1000000 song.wav", "head -c 1000 /dev/zero >>song.wav", ": >song.wav",
        "dd if=/dev/zero of=song.wav bs=1000 seek=3400 count=1 conv=notrunc status=none",
      ] {
        try song(seconds: 20)
        _ = try NoiseInterpreter.install(in: folder, hook: "if [[ $request == 1 ]]; then \(change); fi")
        let end = try run(["separate", "song.wav", "-o", "stems", "--quiet", "--stems", "bass"])
        assertFailed(end, "song.wav cannot be read: it changed while it was read")
        XCTAssertFalse(FileManager.default.fileExists(atPath: url("stems").path), change)
      }
    }

    func testAFileThatIsRemovedOrReplacedWhileItIsReadIsSeparatedAsItWas() throws {
      for change in ["rm song.wav", "echo no audio >new; mv new song.wav"] {
        try song(seconds: 20)
        _ = try NoiseInterpreter.install(in: folder, hook: "if [[ $request == 1 ]]; then \(change); fi")
        let end = try run(["separate", "song.wav", "-o", "stems", "--quiet", "--stems", "bass"])
        XCTAssertEqual(end.code, 0, "\(change): \(end.errors)")
        XCTAssertEqual(try Data(contentsOf: url("stems/song/bass.wav")).count, 58 + 8 * 20 * 44_100)
        try FileManager.default.removeItem(at: url("stems"))
      }
    }
  }
#endif
