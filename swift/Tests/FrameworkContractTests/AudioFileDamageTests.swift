#if os(Linux)
  import AVFoundation
  import CSndfile
  import XCTest

  /// What the stand-in for `AVAudioFile` makes of files that are damaged, cut short or unclear about their length.
  ///
  /// Apple documents nothing of this; the Python package does the same, and its tests have the same cases.
  final class AudioFileDamageTests: XCTestCase {
    private static let frames = 200_000
    private static let kinds: [(suffix: String, format: Int)] = [
      ("wav", Int(SF_FORMAT_WAV | SF_FORMAT_FLOAT)), ("aiff", Int(SF_FORMAT_AIFF | SF_FORMAT_PCM_16)),
      ("w64", Int(SF_FORMAT_W64 | SF_FORMAT_FLOAT)), ("rf64", Int(SF_FORMAT_RF64 | SF_FORMAT_FLOAT)),
      ("flac", Int(SF_FORMAT_FLAC | SF_FORMAT_PCM_16)), ("mp3", Int(SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III)),
      ("ogg", Int(SF_FORMAT_OGG | SF_FORMAT_VORBIS)),
    ]

    private var folder = URL(filePath: "/")

    override func setUpWithError() throws { folder = try temporaryFolder() }
    override func tearDownWithError() throws { try FileManager.default.removeItem(at: folder) }

    func testEveryFrameIsReadInEveryKindOfFile() throws {
      for (suffix, format) in Self.kinds {
        let audio = try AVAudioFile(forReading: made("song.\(suffix)", format))
        XCTAssertEqual(audio.length, AVAudioFramePosition(Self.frames), suffix)
        XCTAssertEqual(try readAll(audio).map(\.count), [Self.frames, Self.frames], suffix)
      }
    }

    func testATruncatedFileIsAnErrorWhenItIsOpenedOrRead() throws {
      for (suffix, format) in Self.kinds {
        for share in [0.3, 0.95] {
          let file = try made("song.\(suffix)", format)
          try edit(file) { $0.removeLast(Int(Double($0.count) * (1 - share))) }
          XCTAssertThrowsError(try readAll(AVAudioFile(forReading: file)), "\(share) of \(suffix)") {
            XCTAssertTrue("\($0.localizedDescription)".contains("truncated"), "\($0)")
          }
        }
      }
    }

    func testAHoleInACompressedFileIsAnError() throws {
      for (suffix, format) in Self.kinds.suffix(3) {
        let file = try made("song.\(suffix)", format)
        try edit(file) { $0.replaceSubrange($0.count / 2..<$0.count / 2 + 8000, with: Data(count: 8000)) }
        XCTAssertThrowsError(try readAll(AVAudioFile(forReading: file)), suffix)
      }
    }

    func testAnOggFileWithoutOneOfItsPagesIsAnError() throws {
      let file = try made("song.ogg", Self.kinds[6].format)
      try edit(file) { content in
        let pages = content.ranges(of: Data("OggS".utf8)).map(\.lowerBound)
        content.removeSubrange(pages[4]..<pages[5])
      }
      XCTAssertThrowsError(try AVAudioFile(forReading: file))
    }

    func testWhatFollowsTheLastPageOfAnOggFileIsNoError() throws {
      let file = try made("song.ogg", Self.kinds[6].format)
      try edit(file) { $0.append(Data("TAG".utf8) + Data(count: 125)) }
      XCTAssertEqual(try AVAudioFile(forReading: file).length, AVAudioFramePosition(Self.frames))
    }

    func testAWAVFileThatWasWrittenIntoAPipeIsWhole() throws {
      for stated in [UInt32(0xFFFF_FFFF), 0x7FFF_F000] {
        let file = try made("song.wav", Self.kinds[0].format)
        try edit(file) { content in
          let start = try XCTUnwrap(content.range(of: Data("data".utf8))).upperBound
          content.replaceSubrange(start..<start + 4, with: withUnsafeBytes(of: stated.littleEndian) { Data($0) })
        }
        XCTAssertEqual(try AVAudioFile(forReading: file).length, AVAudioFramePosition(Self.frames))
      }
    }

    func testAnMP3FileThatDoesNotStateItsLengthIsReadToItsEnd() throws {
      for quietFirst in [true, false] {
        let file = try madeVariableMP3(quietFirst: quietFirst)
        XCTAssertEqual(try AVAudioFile(forReading: file).length, 882_000)
        try withoutLength(file)
        let audio = try AVAudioFile(forReading: file)
        // Without the statement, the encoder's delay and padding cannot be told from music.
        XCTAssertTrue((882_000...882_000 + 3 * 1152).contains(audio.length), "\(audio.length)")
        XCTAssertEqual(try readAll(audio)[0].count, Int(audio.length))
      }
    }

    func testAnMP3FileGivesTheSameSamplesFromAnyPlaceOn() throws {
      let file = try madeVariableMP3(quietFirst: false)
      for isStripped in [false, true] {
        if isStripped { try withoutLength(file) }
        let audio = try AVAudioFile(forReading: file)
        let whole = try readAll(audio)[0]
        for start in [500_000, 1000, 0] {
          audio.framePosition = AVAudioFramePosition(start)
          let buffer = try XCTUnwrap(AVAudioPCMBuffer(pcmFormat: audio.processingFormat, frameCapacity: 2000))
          try audio.read(into: buffer)
          XCTAssertEqual(buffer.channels[0], Array(whole[start..<start + 2000]), "from \(start)")
        }
      }
    }

    func testAFLACFileWithoutAStatedLengthIsAnErrorThatSaysWhatToDo() throws {
      let file = try made("song.flac", Self.kinds[4].format)
      try edit(file) { content in
        // STREAMINFO: the last 4 bits of byte 13 and the next four bytes are the number of samples.
        content[8 + 13] &= 0xF0
        content.replaceSubrange(8 + 14..<8 + 18, with: Data(count: 4))
      }
      XCTAssertThrowsError(try AVAudioFile(forReading: file)) {
        XCTAssertTrue($0.localizedDescription.contains("write it anew"), "\($0)")
      }
    }

    func testErrorsAreThoseOfTheSystem() throws {
      try Data(repeating: 65, count: 5000).write(to: folder.appending(path: "text.wav"))
      try Data().write(to: folder.appending(path: "empty.wav"))
      mkfifo(folder.appending(path: "pipe.wav").path, 0o600)
      let codes = [
        "missing.wav": -43, "text.wav/song.wav": -43, "text.wav": 1_954_115_647, "empty.wav": 1_685_348_671,
        "pipe.wav": 2_003_334_207,
      ]
      for (name, code) in codes {
        XCTAssertThrowsError(try AVAudioFile(forReading: folder.appending(path: name)), name) {
          XCTAssertEqual(($0 as NSError).domain, NSOSStatusErrorDomain)
          XCTAssertEqual(($0 as NSError).code, code, name)
          XCTAssertTrue($0.localizedDescription.contains(name), "\($0)")
        }
      }
    }

    func testDecodersPrintNothing() throws {
      let file = try made("song.mp3", Self.kinds[5].format)
      try edit(file) { $0.replaceSubrange($0.count / 2..<$0.count / 2 + 8000, with: Data(count: 8000)) }
      let printed = try standardError { XCTAssertThrowsError(try readAll(AVAudioFile(forReading: file))) }
      XCTAssertEqual(printed, "")
      XCTAssertEqual(try standardError { perror("text") }.prefix(4), "text", "afterwards, messages are printed again")
    }

    func testAFullDiskIsAnError() throws {
      let file = folder.appending(path: "full.wav")
      try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: "/dev/full")
      XCTAssertThrowsError(try write(file, [AVFormatIDKey: kAudioFormatLinearPCM, AVLinearPCMBitDepthKey: 16])) {
        XCTAssertEqual(($0 as NSError).code, -34)
      }
    }

    func testAFileWhoseEndCouldNotBeWrittenIsEmpty() throws {
      let file = folder.appending(path: "cut.flac")
      var limit = rlimit()
      getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
      let unlimited = limit
      let handler = signal(SIGXFSZ, SIG_IGN)
      limit.rlim_cur = 1000
      setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
      // The encoder keeps these few frames until the file is closed.
      let result = Result { try write(file, [AVFormatIDKey: kAudioFormatFLAC, AVEncoderBitDepthHintKey: 24]) }
      limit = unlimited
      setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
      signal(SIGXFSZ, handler)
      try result.get()
      XCTAssertEqual(try Data(contentsOf: file), Data())
    }

    private func write(_ file: URL, _ settings: [String: Any]) throws {
      let stereo: [String: Any] = [AVSampleRateKey: 44100.0, AVNumberOfChannelsKey: 2]
      let audio = try AVAudioFile(
        forWriting: file, settings: settings.merging(stereo) { $1 }, commonFormat: .pcmFormatFloat32,
        interleaved: false)
      try audio.write(from: .holding([noise(4000), noise(4000)], planarFormat(44100, channels: 2)))
      audio.close()
    }

    /// A file of noise as libsndfile writes it.
    private func made(_ name: String, _ format: Int) throws -> URL {
      let samples = noise(2 * Self.frames).map { 0.1 * $0 }
      return try made(name, format, samples) { _ in }
    }

    /// An MP3 file of 10 s tone and 10 s noise, whose frames differ in size severalfold.
    private func madeVariableMP3(quietFirst: Bool) throws -> URL {
      let loud = noise(441_000).map { 0.5 * $0 }
      let quiet = (0..<441_000).map { Float(0.3 * sin(2 * Double.pi * 440 * Double($0) / 44100)) }
      let samples = (quietFirst ? quiet + loud : loud + quiet).flatMap { [$0, $0] }
      return try made("song.mp3", Self.kinds[5].format, samples) { file in
        var (mode, level) = (CInt(SF_BITRATE_MODE_VARIABLE), 0.1)
        sf_command(file, CInt(SFC_SET_BITRATE_MODE), &mode, CInt(MemoryLayout<CInt>.size))
        sf_command(file, CInt(SFC_SET_COMPRESSION_LEVEL), &level, CInt(MemoryLayout<Double>.size))
      }
    }

    private func made(
      _ name: String, _ format: Int, _ samples: [Float], _ prepare: (OpaquePointer) -> Void
    ) throws -> URL {
      let url = folder.appending(path: name)
      var info = SF_INFO(frames: 0, samplerate: 44100, channels: 2, format: CInt(format), sections: 0, seekable: 0)
      let file = try XCTUnwrap(sf_open(url.path, CInt(SFM_WRITE), &info))
      prepare(file)
      let frames = sf_count_t(samples.count / 2)
      XCTAssertEqual(sf_writef_float(file, samples, frames), frames)
      sf_close(file)
      return url
    }

    private func edit(_ file: URL, _ change: (inout Data) throws -> Void) throws {
      var content = try Data(contentsOf: file)
      try change(&content)
      try content.write(to: file)
    }

    /// Takes the first frame off an MP3 file: the one that states the length, as encoders of streams omit it.
    private func withoutLength(_ file: URL) throws {
      let bitRates = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
      try edit(file) { content in
        let count = 144_000 * bitRates[Int(content[2] >> 4)] / 44100 + Int(content[2] >> 1 & 1)
        XCTAssertNotNil(content.prefix(count).range(of: Data("Xing".utf8)))
        content = Data(content.dropFirst(count))
        XCTAssertEqual(content[0], 0xFF)
      }
    }
  }
#endif
