"use strict";
(() => {
  const RAMP_SECONDS = 0.005;
  // Sounds of a player are started together, a moment ahead, so that none of them is late.
  const AHEAD_SECONDS = 0.03;
  const STEP_SECONDS = 1;

  let audioContext = null;

  function sharedContext() {
    audioContext ??= new AudioContext({ latencyHint: "interactive" });
    return audioContext;
  }

  async function decoded(id) {
    const text = atob(document.getElementById(id).textContent);
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    return sharedContext().decodeAudioData(bytes.buffer);
  }

  /** Sounds of equal length that run in a loop on one clock; one of them is heard. */
  class Deck {
    constructor(buffers) {
      this.buffers = buffers;
      this.seconds = Math.min(...buffers.map((buffer) => buffer.duration));
      this.heard = 0;
      this.offset = 0;
      this.sources = null;
    }

    get playing() {
      return this.sources !== null;
    }

    get position() {
      if (!this.playing) return this.offset;
      return (this.offset + Math.max(0, sharedContext().currentTime - this.started)) % this.seconds;
    }

    play() {
      if (this.playing) return;
      const context = sharedContext();
      this.started = context.currentTime + AHEAD_SECONDS;
      this.gains = [];
      this.sources = this.buffers.map((buffer, index) => {
        const source = context.createBufferSource();
        const gain = context.createGain();
        source.buffer = buffer;
        source.loop = true;
        source.loopEnd = this.seconds;
        gain.gain.value = index === this.heard ? 1 : 0;
        source.connect(gain).connect(context.destination);
        source.start(this.started, this.offset);
        this.gains.push(gain.gain);
        return source;
      });
    }

    pause() {
      if (!this.playing) return;
      this.offset = this.position;
      for (const source of this.sources) {
        source.stop();
        source.disconnect();
      }
      this.sources = null;
    }

    seek(seconds) {
      const wasPlaying = this.playing;
      this.pause();
      this.offset = Math.min(Math.max(0, seconds), Math.max(0, this.seconds - 0.01));
      if (wasPlaying) this.play();
    }

    choose(index) {
      if (this.playing && index !== this.heard) {
        const now = sharedContext().currentTime;
        this.gains.forEach((gain, at) => {
          gain.cancelScheduledValues(now);
          gain.setValueAtTime(at === this.heard ? 1 : 0, now);
          gain.linearRampToValueAtTime(at === index ? 1 : 0, now + RAMP_SECONDS);
        });
      }
      this.heard = index;
    }
  }

  function clock(seconds) {
    const tenths = Math.floor(seconds * 10 + 1e-6);
    return `${Math.floor(tenths / 600)}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
  }

  /** Play button, position and time, of a deck that may be loaded later. */
  class Transport {
    constructor(element, seconds) {
      this.element = element;
      this.seconds = seconds;
      this.button = element.querySelector(".play");
      this.slider = element.querySelector(".seek");
      this.time = element.querySelector(".time");
      this.label = this.button.getAttribute("aria-label");
      this.playheads = [...element.querySelectorAll(".playhead")];
    }

    show(position, playing) {
      const share = position / this.seconds;
      this.slider.max = this.seconds;
      this.slider.value = position;
      this.slider.setAttribute("aria-valuetext", `${position.toFixed(1)} of ${this.seconds.toFixed(1)} seconds`);
      this.time.value = `${clock(position)} / ${clock(this.seconds)}`;
      for (const playhead of this.playheads) playhead.style.left = `${100 * share}%`;
      this.element.classList.toggle("playing", playing);
      this.button.setAttribute("aria-label", playing ? this.label.replace("Play", "Pause") : this.label);
    }
  }

  /** The player of one stem. Its sounds are decoded when it is used first, and let go when another one is used. */
  class Player {
    static current = null;

    constructor(element) {
      this.element = element;
      this.buttons = [...element.querySelectorAll(".tracks button")];
      this.heard = this.buttons.findIndex((button) => button.getAttribute("aria-pressed") === "true");
      this.transport = new Transport(element, Number(element.dataset.seconds));
      this.offset = 0;
      this.deck = null;
      this.loading = null;
      this.wanted = false;
      this.transport.button.addEventListener("click", () => this.toggle());
      this.transport.slider.addEventListener("input", () => this.seek(Number(this.transport.slider.value)));
      this.buttons.forEach((button, index) => button.addEventListener("click", () => this.choose(index)));
      for (const canvas of element.querySelectorAll(".canvas")) {
        canvas.addEventListener("click", (event) => {
          const box = canvas.getBoundingClientRect();
          this.seek(((event.clientX - box.left) / box.width) * this.transport.seconds);
        });
      }
      const test = element.querySelector(".open-test");
      test.hidden = false;
      test.addEventListener("click", () => blindTest.open(this));
      this.show();
    }

    get position() {
      return this.deck ? this.deck.position : this.offset;
    }

    get playing() {
      return this.wanted;
    }

    become() {
      if (Player.current === this) return;
      Player.current?.release();
      Player.current = this;
      this.element.classList.add("current");
    }

    release() {
      this.pause();
      this.offset = this.position;
      this.deck = null;
      this.loading = null;
      this.element.classList.remove("current");
    }

    load() {
      this.loading ??= Promise.all(this.buttons.map((button) => decoded(button.dataset.sound)));
      return this.loading;
    }

    toggle() {
      return this.wanted ? this.pause() : this.play();
    }

    async play() {
      this.become();
      this.wanted = true;
      this.show();
      try {
        await sharedContext().resume();
        const loading = this.load();
        const buffers = await loading;
        // It may have been paused, or another one been used, meanwhile.
        if (!this.wanted || this.loading !== loading) return;
        if (!this.deck) {
          this.deck = new Deck(buffers);
          this.deck.heard = this.heard;
          this.deck.seek(this.offset);
        }
        this.deck.play();
        animate();
      } catch (error) {
        this.fail(error);
      }
    }

    pause() {
      this.wanted = false;
      this.deck?.pause();
      this.show();
    }

    seek(seconds) {
      this.become();
      const target = Math.min(Math.max(0, seconds), this.transport.seconds);
      if (this.deck) this.deck.seek(target);
      else this.offset = target;
      this.show();
    }

    choose(index) {
      if (index < 0 || index >= this.buttons.length) return;
      this.become();
      this.heard = index;
      this.deck?.choose(index);
      this.buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(at === index)));
    }

    fail(error) {
      this.wanted = false;
      this.loading = null;
      const failure = this.element.querySelector(".failure");
      failure.textContent = `This sound cannot be played: ${error.message}. Try another browser.`;
      failure.hidden = false;
      this.show();
    }

    show() {
      this.transport.show(this.position, this.wanted);
    }
  }

  /** One-sided: how likely guesses are right at least so often. The sum of C(n, k) / 2^n from `correct` to n. */
  function pValue(correct, trials) {
    let combinations = 1;
    let sum = 0;
    for (let k = trials; k >= correct; k -= 1) {
      sum += combinations;
      combinations = (combinations * k) / (trials - k + 1);
    }
    return sum / 2 ** trials;
  }

  function neededFor(level, trials) {
    let correct = trials;
    while (correct > 0 && pValue(correct - 1, trials) < level) correct -= 1;
    return correct;
  }

  function drawn() {
    return crypto.getRandomValues(new Uint8Array(1))[0] & 1 ? "B" : "A";
  }

  class BlindTest {
    constructor(dialog) {
      this.dialog = dialog;
      this.part = (name) => dialog.querySelector(`.${name}`);
      this.transport = new Transport(this.part("round"), 1);
      this.letters = [...dialog.querySelectorAll("[data-letter]")];
      this.answers = [...dialog.querySelectorAll("[data-answer]")];
      this.deck = null;
      this.address = null;
      dialog.addEventListener("close", () => this.end());
      this.part("close").addEventListener("click", () => dialog.close());
      this.part("trials").addEventListener("change", () => this.showNeeded());
      this.part("setup").addEventListener("submit", (event) => {
        event.preventDefault();
        this.start();
      });
      this.part("again").addEventListener("click", () => this.setUp());
      this.transport.button.addEventListener("click", () => this.toggle());
      this.transport.slider.addEventListener("input", () => {
        this.deck.seek(Number(this.transport.slider.value));
        this.show();
      });
      for (const button of this.letters) button.addEventListener("click", () => this.listen(button.dataset.letter));
      for (const button of this.answers) button.addEventListener("click", () => this.answer(button.dataset.answer));
    }

    get running() {
      return this.dialog.open && this.deck !== null;
    }

    open(player) {
      player.become();
      player.pause();
      this.player = player;
      this.song = player.element.dataset.song;
      this.stem = player.element.dataset.stem;
      this.part("subject").textContent = `${this.stem} of ${this.song}`;
      const results = player.buttons.filter((button) => button.dataset.role === "result");
      this.part("against").replaceChildren(...results.map((button) => new Option(button.dataset.name)));
      this.dialog.showModal();
      this.setUp();
    }

    setUp() {
      this.end();
      this.showPart("setup");
      this.showNeeded();
      this.part("start").focus();
    }

    showPart(name) {
      for (const each of ["setup", "round", "outcome"]) this.part(each).hidden = each !== name;
    }

    showNeeded() {
      const trials = Number(this.part("trials").value);
      this.part("needed").textContent = `p < 0.05 takes at least ${neededFor(0.05, trials)} of ${trials} right.`;
    }

    async start() {
      const chosen = this.part("against").selectedIndex;
      const player = this.player;
      try {
        await sharedContext().resume();
        const buffers = await player.load();
        if (!this.dialog.open || this.player !== player) return;
        const results = player.buttons.flatMap((button, index) => (button.dataset.role === "result" ? [index] : []));
        const reference = player.buttons.findIndex((button) => button.dataset.role === "reference");
        this.deck = new Deck([buffers[reference], buffers[results[chosen]]]);
      } catch (error) {
        this.dialog.close();
        player.fail(error);
        return;
      }
      this.against = this.part("against").value;
      this.part("against-name").textContent = this.against;
      this.count = Number(this.part("trials").value);
      this.trials = [];
      this.begun = new Date();
      this.transport.seconds = this.deck.seconds;
      this.showPart("round");
      this.next();
      this.transport.button.focus();
      this.deck.play();
      animate();
    }

    next() {
      this.x = drawn();
      this.hasHeardX = false;
      this.trialBegun = performance.now();
      this.part("progress").textContent = `Trial ${this.trials.length + 1} of ${this.count}`;
      this.listen("A");
      this.deck.seek(0);
      this.showAnswers();
    }

    listen(letter) {
      this.deck.choose((letter === "X" ? this.x : letter) === "A" ? 0 : 1);
      this.hasHeardX ||= letter === "X" && this.deck.playing;
      this.letter = letter;
      for (const button of this.letters) button.setAttribute("aria-pressed", String(button.dataset.letter === letter));
      this.showAnswers();
    }

    showAnswers() {
      for (const button of this.answers) button.disabled = !this.hasHeardX;
      this.part("hint").textContent = this.hasHeardX ? "What was right is told at the end." : "Listen to X to answer.";
    }

    answer(letter) {
      if (!this.hasHeardX) return;
      const seconds = Math.round((performance.now() - this.trialBegun) / 10) / 100;
      this.trials.push({ x: this.x, answer: letter, seconds });
      if (this.trials.length < this.count) this.next();
      else this.finish();
    }

    finish() {
      this.deck.pause();
      this.deck = null;
      const total = this.trials.length;
      const correct = this.trials.filter((trial) => trial.x === trial.answer).length;
      const p = pValue(correct, total);
      this.part("verdict").textContent = `${correct} of ${total} right, p = ${p.toPrecision(3)}`;
      this.part("formula").textContent =
        `p = Σ C(${total}, k) / 2^${total} for k = ${correct} … ${total} = ${p.toPrecision(3)}`;
      this.part("meaning").textContent =
        p < 0.05
          ? "Guessing would seldom do as well: you very likely hear a difference."
          : "Guessing does as well often enough: this round shows no difference that you hear.";
      this.part("answers-given").replaceChildren(
        ...this.trials.map((trial) => {
          const item = document.createElement("li");
          const isRight = trial.x === trial.answer;
          item.textContent = `X was ${trial.x}${isRight ? " ✓" : `, not ${trial.answer}`}`;
          item.classList.toggle("wrong", !isRight);
          return item;
        }),
      );
      const outcome = {
        version: 1,
        page: document.title,
        song: this.song,
        stem: this.stem,
        a: "reference",
        b: this.against,
        begun: this.begun.toISOString(),
        trials: this.trials,
        correct,
        total,
        p_value: p,
        test: "one-sided binomial: sum of C(n, k) / 2^n for k = correct … n",
      };
      this.forget();
      this.address = URL.createObjectURL(
        new Blob([`${JSON.stringify(outcome, null, 1)}\n`], { type: "application/json" }),
      );
      const download = this.part("download");
      download.href = this.address;
      download.download = `abx ${this.song} ${this.stem} ${this.against}.json`.replace(/[^\p{L}\p{N}. _-]/gu, "_");
      this.showPart("outcome");
      this.part("verdict").focus();
    }

    forget() {
      if (this.address) URL.revokeObjectURL(this.address);
      this.address = null;
    }

    toggle() {
      if (this.deck.playing) this.deck.pause();
      else {
        this.deck.play();
        this.hasHeardX ||= this.letter === "X";
        this.showAnswers();
        animate();
      }
      this.show();
    }

    end() {
      this.deck?.pause();
      this.deck = null;
      this.forget();
    }

    show() {
      if (this.deck) this.transport.show(this.deck.position, this.deck.playing);
    }

    key(key) {
      const letter = key.toUpperCase();
      if ("ABX".includes(letter) && letter.length === 1) this.listen(letter);
      else if (key === "1") this.answer("A");
      else if (key === "2") this.answer("B");
      else if (key === " ") this.toggle();
      else if (key === "ArrowLeft") this.deck.seek(this.deck.position - STEP_SECONDS);
      else if (key === "ArrowRight") this.deck.seek(this.deck.position + STEP_SECONDS);
      else if (key === "Home") this.deck.seek(0);
      else return false;
      this.show();
      return true;
    }
  }

  function playerKey(player, key) {
    if (key === " ") player.toggle();
    else if (key === "ArrowLeft") player.seek(player.position - STEP_SECONDS);
    else if (key === "ArrowRight") player.seek(player.position + STEP_SECONDS);
    else if (key === "Home") player.seek(0);
    else if (/^[1-9]$/.test(key) && Number(key) <= player.buttons.length) player.choose(Number(key) - 1);
    else return false;
    return true;
  }

  let isAnimating = false;
  function animate() {
    if (isAnimating) return;
    isAnimating = true;
    const draw = () => {
      const shown = [Player.current, blindTest].filter((each) => each?.deck?.playing);
      for (const each of shown) each.show();
      isAnimating = shown.length > 0;
      if (isAnimating) requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  }

  const blindTest = new BlindTest(document.getElementById("test"));
  const players = new Map([...document.querySelectorAll(".player")].map((each) => [each, new Player(each)]));

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && !event.key.startsWith("Arrow")) return;
    const target = event.target;
    // What has a meaning of its own for the key that was pressed keeps it; space on a track plays and pauses.
    if (target.matches("select, a") || (event.key === " " && target.matches("button:not(.play):not(.tracks button)"))) return;
    let isHandled = false;
    if (blindTest.dialog.open) isHandled = blindTest.running && blindTest.key(event.key);
    else {
      const player = players.get(target.closest(".player")) ?? (target.matches("body, .current *") ? Player.current : null);
      isHandled = player ? playerKey(player, event.key) : false;
    }
    if (isHandled) event.preventDefault();
  });
  // The key's release would press the button that has the focus.
  document.addEventListener("keyup", (event) => {
    if (event.key === " " && event.target.matches(".play, .tracks button")) event.preventDefault();
  });

  window.listening = { pValue, players: [...players.values()], blindTest };
})();
