import AVFoundation
import XCTest

/// A format of float32, not interleaved, of any number of channels.
func planarFormat(_ sampleRate: Double, channels: Int) throws -> AVAudioFormat {
  let tag = kAudioChannelLayoutTag_DiscreteInOrder | AudioChannelLayoutTag(channels)
  let layout = try XCTUnwrap(AVAudioChannelLayout(layoutTag: tag))
  return try channels <= 2
    ? XCTUnwrap(
      AVAudioFormat(
        commonFormat: .pcmFormatFloat32, sampleRate: sampleRate, channels: AVAudioChannelCount(channels),
        interleaved: false))
    : AVAudioFormat(
      commonFormat: .pcmFormatFloat32, sampleRate: sampleRate, interleaved: false, channelLayout: layout)
}

extension AVAudioPCMBuffer {
  /// A buffer of channels that are equally long.
  static func holding(_ channels: [[Float]], _ format: AVAudioFormat) throws -> AVAudioPCMBuffer {
    let frames = AVAudioFrameCount(channels.first?.count ?? 0)
    let buffer = try XCTUnwrap(AVAudioPCMBuffer(pcmFormat: format, frameCapacity: max(frames, 1)))
    buffer.frameLength = frames
    buffer.fill(channels)
    return buffer
  }

  /// The valid samples of every channel.
  var channels: [[Float]] {
    guard let data = floatChannelData else { return [] }
    return (0..<Int(format.channelCount)).map { channel in
      (0..<Int(frameLength)).map { data[channel][$0 * stride] }
    }
  }

  func fill(_ channels: [[Float]]) {
    guard let data = floatChannelData else { return }
    for (channel, samples) in channels.enumerated() {
      for (frame, sample) in samples.enumerated() { data[channel][frame * stride] = sample }
    }
  }
}

extension [[Float]] {
  /// The same channels with those of another stretch after them.
  func followed(by others: [[Float]]) -> [[Float]] { isEmpty ? others : zip(self, others).map { $0 + $1 } }
}
