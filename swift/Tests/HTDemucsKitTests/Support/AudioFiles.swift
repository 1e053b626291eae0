import Foundation

@testable import HTDemucsKit

extension Workspace {
  /// A WAV file of float32 samples at full precision, whatever they are.
  func wav(
    _ waveform: Waveform, _ name: String = "song.wav", sampleRateHz: Int = 44_100
  ) throws -> URL {
    let channels = waveform.signals
    func bytes(_ number: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: number.littleEndian, Array.init) }
    var layout = bytes(UInt16(3)) + bytes(UInt16(channels)) + bytes(UInt32(sampleRateHz))
    layout +=
      bytes(UInt32(truncatingIfNeeded: 4 * channels * sampleRateHz)) + bytes(UInt16(4 * channels)) + bytes(UInt16(32))
      + [0, 0]
    let format = Array("fmt ".utf8) + bytes(UInt32(18)) + layout
    let dataBytes = 4 * waveform.values.count
    let head =
      Array("RIFF".utf8) + bytes(UInt32(4 + format.count + 8 + dataBytes)) + Array("WAVE".utf8) + format
      + Array("data".utf8) + bytes(UInt32(dataBytes))
    var file = Data(head)
    for index in 0..<waveform.samples {
      for channel in 0..<channels {
        withUnsafeBytes(of: waveform.values[channel * waveform.samples + index].bitPattern.littleEndian) {
          file.append(contentsOf: $0)
        }
      }
    }
    let url = url(name)
    try file.write(to: url)
    return url
  }
}

/// All of a file's samples, `[2, frames]`.
func samples(of file: URL, allowsDownmix: Bool = false) throws -> Waveform {
  let input = try AudioInput(contentsOf: file, allowsDownmix: allowsDownmix)
  let reader = try input.stereoReader()
  var channels: [[Float]] = [[], []]
  while let block = try reader.nextBlock() { for channel in 0..<2 { channels[channel] += block[channel] } }
  return try Waveform(channels[0] + channels[1], signals: 2)
}
