import AVFoundation
import Foundation
import Observation

/// Plays one stem at a time.
@MainActor @Observable
final class StemPlayer: NSObject, AVAudioPlayerDelegate {
  /// The file that is heard now.
  private(set) var playing: URL?
  private var player: AVAudioPlayer?

  /// Plays a file from where it was stopped, or stops it.
  func toggle(_ file: URL) throws {
    if playing == file {
      player?.pause()
      playing = nil
      return
    }
    if player?.url != file {
      #if os(iOS)
        try AVAudioSession.sharedInstance().setCategory(.playback)
      #endif
      player = try AVAudioPlayer(contentsOf: file)
      player?.delegate = self
    }
    playing = player?.play() == true ? file : nil
  }

  /// Lets go of the file, which may then be replaced.
  func stop() {
    player?.stop()
    player = nil
    playing = nil
  }

  nonisolated func audioPlayerDidFinishPlaying(_ player: AVAudioPlayer, successfully flag: Bool) {
    Task { @MainActor in playing = nil }
  }
}
