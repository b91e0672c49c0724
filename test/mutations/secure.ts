/**
 * What an attacker can try against a secure vnet, the check in the sources that stops it, and the
 * tests that fail on a build without that check. `scripts/mutate` takes out one check after the
 * other and runs its tests; docs/ATTACKS.md is this list as a table.
 */

export type Mutation = {
  /** What is tried. */
  readonly attack: string;
  /** What stops it. */
  readonly check: string;
  readonly file: string;
  /** Occurs once in `file`. */
  readonly text: string;
  /** Stands in its place: the file compiles, and the check is gone. */
  readonly without: string;
  /** `FILE` or `FILE: a test's name`; each must fail. */
  readonly tests: readonly string[];
};

const REPLAYED = "test/vnet/secure-replays.test.ts";
const FORGED = "test/vnet/secure-forgeries.test.ts";
const FLOODED = "test/vnet/secure-floods.test.ts";
const MEANING_WELL = "test/vnet/secure.test.ts";
const ENGINE = "test/netns/engine-secure.test.ts";
const ATTACKED = "test/netns/secure-attacks.test.ts";
const DAMAGED = "test/netns/secure-damage.test.ts";
const CLAIMS = "test/vnet/varp-claims.test.ts";

const REPLAYS: readonly Mutation[] = [
  {
    attack: "play a datagram again, a second later",
    check: "the bits of the replay window",
    file: "native/tables/replay-window.cc",
    text: "& 1U) == 0 ? Verdict::kFresh : Verdict::kReplayed",
    without: "& 1U) == 0 ? Verdict::kFresh : Verdict::kFresh",
    tests: [
      "native/test/replay-window-test.cc",
      `${ENGINE}: a replayed datagram is dropped, from whatever address it comes`,
      `${ATTACKED}: repeats a datagram after a second: drop-esp-replay`,
    ],
  },
  {
    attack: "play one that the window has left behind",
    check: "the window's lower end",
    file: "native/tables/replay-window.cc",
    text: "counter <= floor_ || highest_ - counter >= kWindowPackets",
    without: "counter <= floor_",
    tests: ["native/test/replay-window-test.cc"],
  },
  {
    attack: "move the window with a forged counter, so that true packets are too old",
    check: "the window moves after the ICV was right",
    file: "native/path/inbound-sealed.cc",
    text: "    if (isAuthentic(*drop)) {",
    without: "    if (isAuthentic(*drop) || counter != 0) {",
    tests: [`${ENGINE}: aes128-gcm: a datagram with a flipped bit or a piece missing is dropped`],
  },
  {
    attack: "play datagrams again after the receiver was restarted",
    check: "what was sealed before the proof counts as seen (data plane)",
    file: "native/tables/replay-window.cc",
    text: "counter <= floor_ || highest_",
    without: "highest_",
    tests: [
      `${ENGINE}: what was sealed before the SA was set is not opened afterwards`,
      `${ATTACKED}: repeats a datagram after the receiver has started again: drop-esp-replay`,
    ],
  },
  {
    attack: "play datagrams again after the receiver was restarted",
    check: "what was sealed before the proof counts as seen (vnetd)",
    file: "src/vnet/secure-receive.ts",
    text: "challenged }) ? 0n : sentCounter;",
    without: "challenged }) ? 0n : 0n;",
    tests: [
      `${REPLAYED}: packets of the SA in use are not accepted again after the receiver's restart`,
      `${ATTACKED}: repeats a datagram after the receiver has started again: drop-esp-replay`,
    ],
  },
  {
    attack: "pass a young SA's datagrams off as never opened",
    check: "the margin between two clocks",
    file: "src/vnet/secure-window.ts",
    text: "challenged - saAgeMs - MARGIN_MS > remembersSince",
    without: "challenged - saAgeMs + MARGIN_MS > remembersSince",
    tests: [
      `${REPLAYED}: packets of an SA so young that it would be new to others are not accepted again`,
    ],
  },
  {
    attack: "pass an SA's datagrams off as never opened after its receiver lost it",
    check: "a window that is gone is remembered",
    file: "src/vnet/secure-hosts.ts",
    text: 'if (sa.role !== "previous" || sa.dropAt > step.now) {',
    without: 'if (sa.role === "next" && sa.dropAt < 0) {',
    tests: [`${REPLAYED}: nor after the SA was put out, or lost by the data plane, and came back`],
  },
  {
    attack: "have a sender whose clock stood still seem new",
    check: "the age beyond which no SA is new",
    file: "src/vnet/secure-window.ts",
    text: "saAgeMs <= NEW_SA_AGE_MS &&",
    without: "saAgeMs <= NEW_SA_AGE_MS * 100 &&",
    tests: [`${REPLAYED}: a sender whose clock stood still has no new SA after ten seconds awake`],
  },
  {
    attack: "play an old HELLO, an hour or a restart of its sender later",
    check: "an SA comes with the answer to a challenge only",
    file: "src/vnet/secure-receive.ts",
    text: `  if (challenged !== null && sentCounter === null) {
    countSecureRefusal(step, "no-counter");
  } else if (challenged !== null && sentCounter !== null) {
    const seenUpTo = isNewHere(vnet, { saAgeMs: message.saAgeMs, challenged }) ? 0n : sentCounter;`,
    without: `  if (message.spi !== 0) {
    const about = { saAgeMs: message.saAgeMs, challenged: challenged ?? 0 };
    const seenUpTo = isNewHere(vnet, about) ? 0n : (sentCounter ?? 0n);`,
    tests: [
      `${REPLAYED}: all that was heard in an hour, played again an hour later, opens nothing`,
      `${REPLAYED}: an old HELLO of a host that is gone brings no SA and no host back`,
      `${ATTACKED}: repeats HELLOs and datagrams after the sender has started again: not opened`,
    ],
  },
  {
    attack: "play an old answer to a challenge",
    check: "the life of a challenge",
    file: "src/vnet/secure-hello.ts",
    text: "agoMs <= CHALLENGE_LIFE_MS &&",
    without: "agoMs <= CHALLENGE_LIFE_MS * 1e9 &&",
    tests: [`${REPLAYED}: an old answer to a challenge is good once, and not after a minute`],
  },
  {
    attack: "play the answer that brought an SA once that was removed since",
    check: "challenges hold for one generation",
    file: "src/vnet/secure-hello.ts",
    text: "view.setBigUint64(20, BigInt(vnet.generation));",
    without: "view.setBigUint64(20, 0n);",
    tests: [`${REPLAYED}: an answer does not bring back an SA that was removed meanwhile`],
  },
  {
    attack: "keep a silent host alive by its recorded HELLOs",
    check: "the sequence of a host's messages",
    file: "src/vnet/secure-receive.ts",
    text: "  if (isOld && !isSilent) {",
    without: "  if (isOld && !isSilent && message.spi === 0) {",
    tests: [`${REPLAYED}: a HELLO of the SA in use keeps no silent host alive`],
  },
  {
    attack: "send a host away by the BYE of its former boot",
    check: "a message that ends something is of an SA that is known, and new",
    file: "src/vnet/secure-receive.ts",
    text: "  if (!isKnown || isOutdated(host, message)) {",
    without: "  if (host === undefined || (!isKnown && payloadBytes < 0)) {",
    tests: [`${REPLAYED}: a BYE of a former boot sends nobody away`],
  },
];

const FORGERIES: readonly Mutation[] = [
  {
    attack: "flip a bit of a packet of GCM",
    check: "the tag",
    file: "native/crypto/suite-contexts.cc",
    text: `         EVP_CipherFinal_ex(cipher_.get(), nullptr, &last) == 1;
}

bool SuiteContexts::sealCbc`,
    without: `         (EVP_CipherFinal_ex(cipher_.get(), nullptr, &last) == 1 || last == 0);
}

bool SuiteContexts::sealCbc`,
    tests: [
      "native/test/seal-key-test.cc",
      `${DAMAGED}: aes128-gcm: flips every bit and cuts at every length of a datagram; only the true one passes`,
      `${DAMAGED}: aes256-gcm: flips every bit and cuts at every length of a datagram; only the true one passes`,
    ],
  },
  {
    attack: "flip a bit of a packet of a suite with an HMAC; seal with another key",
    check: "the HMAC",
    file: "native/crypto/suite-contexts.cc",
    text: "CRYPTO_memcmp(right.data(), icv, icvBytes_) == 0;",
    without: "CRYPTO_memcmp(right.data(), icv, icvBytes_) >= 0;",
    tests: [
      "native/test/seal-key-test.cc",
      `${DAMAGED}: hmac-sha256-128: flips every bit and cuts at every length of a datagram; only the true one passes`,
      `${DAMAGED}: hmac96: flips every bit and cuts at every length of a datagram; only the true one passes`,
      `${DAMAGED}: aes128-hmac96: flips every bit and cuts at every length of a datagram; only the true one passes`,
    ],
  },
  {
    attack: "cut a packet to any length",
    check: "the length that a packet of the suite can have",
    file: "native/crypto/open-key.cc",
    text: "packetBytes >= around + sizes.alignBytes && (packetBytes - around) % sizes.alignBytes == 0;",
    without: "packetBytes + around + sizes.alignBytes != 0;",
    tests: ["native/test/seal-key-test.cc"],
  },
  {
    attack: "cut a datagram below the SPI and the sequence number",
    check: "the least length of a message",
    file: "native/wire/esp.cc",
    text: "  if (payload.size() < kMessageBytesMin) {",
    without: "  if (payload.size() + kMessageBytesMin < kMessageBytesMin + 4) {",
    tests: ["native/test/esp-test.cc"],
  },
  {
    attack: "have a vnet take keys of another level or suite",
    check: "the suite is one of the vnet's level",
    file: "native/control/engine-security.cc",
    text: "return security != Security::kNone && isAuth == (security == Security::kAuth);",
    without: "return isAuth || !isAuth || security == Security::kNone;",
    tests: [`${ENGINE}: commands with wrong fields are refused and change nothing`],
  },
  {
    attack: "say HELLO with another suite",
    check: "the suite of a message",
    file: "src/vnet/secure-receive.ts",
    text: "  if (message.suites !== suiteBit(vnet)) {",
    without: "  if (message.suites === 0 && suiteBit(vnet) === 0) {",
    tests: [`${MEANING_WELL}: a host of another suite is shown and not talked with`],
  },
  {
    attack: "change a bit of a control message",
    check: "the MAC of a control message",
    file: "src/vnet/secure-receive.ts",
    text: "if (!secure.crypto.equalSecrets(mac, right)) {",
    without: "if (mac.length === 0 || right.length === 0) {",
    tests: [`${FORGED}: no bit of any message can be changed`],
  },
  {
    attack: "send a host's HELLO on from elsewhere, to have its frames",
    check: "a message comes from where its sender says it is",
    file: "src/vnet/secure-receive.ts",
    text: "return addresses.length === 0 || addresses",
    without: "return addresses.length >= 0 || addresses",
    tests: [
      `${FORGED}: a HELLO that is sent on from elsewhere moves no host there`,
      `${FORGED}: a relay that gets an answer cannot deliver it from its own address`,
    ],
  },
  {
    attack: "as an insider, say an SPI that is not one's own",
    check: "an SPI follows from its sender's name",
    file: "src/vnet/secure-receive.ts",
    text: "  return spi === deriveSpi(secure.crypto, key.psk, name);",
    without: "  return spi !== 0 || spi === deriveSpi(secure.crypto, key.psk, name);",
    tests: [`${FORGED}: an SPI that does not follow from its sender's name is refused`],
  },
];

const DOWNGRADES: readonly Mutation[] = [
  {
    attack: "send a frame in the clear into a secure vnet, or have a peer forward one",
    check: "no clear frame for a secure vnet",
    file: "native/path/inbound.cc",
    text: `  countDatagram(counters, message.size(), origin);
  if (vnet != nullptr && vnet->inbound.security != Security::kNone) {`,
    without: `  countDatagram(counters, message.size(), origin);
  if (vnet != nullptr && vnet->settings.id.isZero()) {`,
    tests: [
      `${ENGINE}: a clear message for a secure vnet goes no further`,
      `${ATTACKED}: speaks in the clear: drop-downgrade, and nothing is believed`,
    ],
  },
  {
    attack: "say in the clear where a MAC of a secure vnet is",
    check: "no clear VARP for a secure vnet (data plane)",
    file: "native/path/inbound.cc",
    text: `  Vnet* const vnet = findVnet(varp.vnetId);
  if (vnet != nullptr && vnet->inbound.security != Security::kNone) {`,
    without: `  Vnet* const vnet = findVnet(varp.vnetId);
  if (vnet != nullptr && vnet->settings.id.isZero()) {`,
    tests: [
      `${ENGINE}: a clear message for a secure vnet goes no further`,
      `${ATTACKED}: speaks in the clear: drop-downgrade, and nothing is believed`,
    ],
  },
  {
    attack: "say in the clear where a MAC of a secure vnet is",
    check: "no clear VARP for a secure vnet (vnetd)",
    file: "src/vnet/varp.ts",
    text: "  } else if (vnet === undefined || vnet.claims !== null) {",
    without: "  } else if (vnet === undefined) {",
    tests: [
      `${CLAIMS}: a message of another vnet than the SA's is not heard, nor one in the clear`,
    ],
  },
  {
    attack: "send ESP to a host whose vnets are all `none`",
    check: "without a secure vnet nothing sealed is looked at",
    file: "native/path/inbound-sealed.cc",
    text: "  if (!hasSecureVnets_ || spi > kLastGroupSpi) {",
    without: "  if (spi > kLastGroupSpi) {",
    tests: [`${ATTACKED}: sends sealed datagrams where no vnet is secure: drop-esp-no-key`],
  },
  {
    attack: "have a secure vnet's frame sent in the clear while there is no key",
    check: "a secure vnet's frame goes out sealed or not at all",
    file: "native/path/outbound.cc",
    text: `  if (frame.vnet.outbound.security != Security::kNone) {
    sendSealed(frame, nullptr);`,
    without: `  if (frame.vnet.sendSa != nullptr) {
    sendSealed(frame, nullptr);`,
    tests: [`${ENGINE}: without a key to send with nothing leaves`],
  },
  {
    attack: "as an insider, claim a MAC for another host",
    check: "care-of is the address of the SA's host",
    file: "src/vnet/varp-claims.ts",
    text: "message.careOf !== source.address",
    without: "message.careOf === null",
    tests: [`${CLAIMS}: a host cannot claim for another: care-of is the SA's host`],
  },
  {
    attack: "as an insider, claim a MAC of another vnet",
    check: "a claim is of the SA's vnet",
    file: "src/vnet/varp-claims.ts",
    text: "vnet.claims === null || message.vnet !== id",
    without: "vnet.claims === null",
    tests: [
      `${CLAIMS}: a message of another vnet than the SA's is not heard, nor one in the clear`,
    ],
  },
  {
    attack: "as an insider, claim a MAC that is pinned elsewhere",
    check: "a pinned MAC is never lost",
    file: "src/vnet/varp-claims.ts",
    text: "} else if (!local.pinned && outranks(said, own)) {",
    without: "} else if (outranks(said, own)) {",
    tests: [`${CLAIMS}: a MAC that is pinned here is never lost to a claim`],
  },
  {
    attack: "as an insider, have a MAC move all the time",
    check: "five moves in three minutes, and it stays",
    file: "src/vnet/varp-claims.ts",
    text: "return moves.length >= MOVES_MAX &&",
    without: "return moves.length > MOVES_MAX &&",
    tests: [
      `${CLAIMS}: after five moves in three minutes a MAC stays where it is, and is shown as a duplicate`,
    ],
  },
  {
    attack: "send a sealed frame on from elsewhere, to have the answers",
    check: "a MAC is where the authenticated sender is",
    file: "native/path/inbound-sealed.cc",
    text: "{.host = sa.host, .via",
    without: "{.host = origin.host, .via",
    tests: [`${ENGINE}: where a MAC is, the authenticated sender says, and a pinned one stays`],
  },
];

const IDENTITIES: readonly Mutation[] = [
  {
    attack: "send a host's own packets back to it",
    check: "a host opens nothing that it has sealed",
    file: "native/path/inbound-sealed.cc",
    text: "  if (sa.isOwn) {\n    handleOwnSpi",
    without: "  if (sa.isOwn && sa.spi == 0) {\n    handleOwnSpi",
    tests: [
      `${ENGINE}: our own datagram from another host is told of, a forged one is not`,
      `${ATTACKED}: sends back what a host sent: drop-esp-own, an alert, and another key`,
    ],
  },
  {
    attack: "send a host's own packets back, to have it renew all the time",
    check: "one renewal in ten seconds",
    file: "src/vnet/secure-clone.ts",
    text: "isOurs && mayOnceMore(step.secure.renewRates, id, step.now)",
    without: "isOurs && id.length > 0",
    tests: [`${FLOODED}: packets of ours that come back do not have us renew all the time`],
  },
  {
    attack: "send a host's own messages back, to have it give up its identity",
    check: "what this host has said already proves no clone",
    file: "src/vnet/secure-clone.ts",
    text: "message.helloSequence > secure.helloSequence);",
    without: "message.helloSequence > 0n);",
    tests: [
      `${REPLAYED}: our own messages from elsewhere change nothing and are not answered`,
      `${ATTACKED}: sends back what a host sent: drop-esp-own, an alert, and another key`,
    ],
  },
  {
    attack: "run a copy of a host's disk",
    check: "an answer in this host's name is a clone's",
    file: "src/vnet/secure-clone.ts",
    text: "  if (challengedAt(step, vnet, message) !== null) {",
    without: "  if ((challengedAt(step, vnet, message) ?? -1) < -1) {",
    tests: [
      `${FORGED}: a clone with the same disk: an alert and another identity within a second`,
      "test/netns/secure-operations.test.ts: a copied host is noticed, and the copies get identities of their own",
    ],
  },
  {
    attack: "run a copy of a host with its memory, so that two seal under one key",
    check: "another key after the first packet under one's own SPI",
    file: "src/vnet/secure-clone.ts",
    text: `host: source });
    startEpoch(step, vnet);`,
    without: "host: source });",
    tests: [
      `${FORGED}: a clone of a running host, with its memory, cannot go on with the same keys`,
      `${ATTACKED}: sends back what a host sent: drop-esp-own, an alert, and another key`,
    ],
  },
  {
    attack: "kill and restart a host until a nonce is used twice",
    check: "128 random bits in every SA's keys",
    file: "src/vnet/secure-epochs.ts",
    text: "const bootNonce = crypto.randomBytes(BOOT_NONCE_BYTES);",
    without: "const bootNonce = new Uint8Array(BOOT_NONCE_BYTES);",
    tests: [
      `${MEANING_WELL}: no (key, nonce) is used twice by a host that is rebooted a thousand times`,
    ],
  },
  {
    attack: "have a packet counter come round",
    check: "nothing is sealed beyond an SA's end (data plane)",
    file: "native/path/outbound-sealed.cc",
    text: "std::min<std::uint64_t>(segments.size(), sa.stopAt - std::min(sa.stopAt, sa.counter));",
    without: "std::min<std::uint64_t>(segments.size(), sa.stopAt);",
    tests: [`${ENGINE}: an SA that is spent says so once, and seals nothing beyond its end`],
  },
  {
    attack: "have a packet counter come round",
    check: "no counter seals twice (crypto)",
    file: "native/crypto/seal-key.cc",
    text: "  if (counter <= lastCounter_ || counter > kLastPacketCounter) {",
    without: "  if (counter == 0 || counter > kLastPacketCounter) {",
    tests: ["native/test/seal-key-test.cc"],
  },
  {
    attack: "have a packet counter come round",
    check: "the next SA in time (vnetd)",
    file: "src/vnet/secure.ts",
    text: "  if (vnet?.send?.spi === spi && vnet.next === null) {",
    without: "  if (vnet?.send?.spi === spi && vnet.next === null && spi === 0) {",
    tests: [
      `${MEANING_WELL}: epochs that the limit of the packet counter forces lose nothing`,
      "test/netns/secure-nonces.test.ts: epochs forced by the packet counter lose no datagram and repeat no nonce",
    ],
  },
  {
    attack: "set a send SA's counter back by its own keys",
    check: "an SPI is not set twice",
    file: "native/control/engine-security.cc",
    text: "  if (vnet->sendSa != nullptr && vnet->sendSa->spi == command.spi) {",
    without: "  if (vnet->sendSa != nullptr && command.spi == 0) {",
    tests: [`${ENGINE}: commands with wrong fields are refused and change nothing`],
  },
  {
    attack: "have an SPI that another sender has",
    check: "each of the SPI's keys is tried",
    file: "native/path/inbound-sealed.cc",
    text: "    if (isForgery(outcome)) {\n      continue;",
    without: "    if (isForgery(outcome) && sa->spi == 0) {\n      continue;",
    tests: [`${ENGINE}: of several senders with one SPI each is opened with its own key`],
  },
  {
    attack: "have an SPI that another sender has",
    check: "an SPI that is taken is not drawn",
    file: "src/vnet/secure-epochs.ts",
    text: "if (!isSpiTaken(step, spi) || draw",
    without: "if (draw === 1 || !isSpiTaken(step, spi) || draw",
    tests: [`${FORGED}: an SPI that another host has already is not drawn`],
  },
];

const FLOODS: readonly Mutation[] = [
  {
    attack: "flood with control messages",
    check: "a budget for each source before anything is computed",
    file: "native/path/inbound-sealed.cc",
    text: "  if (!limitersOf(origin.host).vnc1.admit(origin.host, nowMs_)) {",
    without: "  if (!limitersOf(origin.host).vnc1.admit(origin.host, nowMs_) && nowMs_ == 0) {",
    tests: [`${ENGINE}: VNC1 messages of the right form go up, others are counted`],
  },
  {
    attack: "flood in many names, so that members are not heard",
    check: "members have a budget of their own",
    file: "native/path/inbound-sealed.cc",
    text: "? senderLimiters_ : strangerLimiters_;",
    without: "? strangerLimiters_ : strangerLimiters_;",
    tests: [`${ENGINE}: strangers with many addresses do not crowd out who has an SA`],
  },
  {
    attack: "flood with unknown SPIs",
    check: "a budget for questions (data plane)",
    file: "native/path/inbound-sealed.cc",
    text: "  if (limitersOf(source).unknownSpi.admit(source, nowMs_)) {",
    without: "  if (limitersOf(source).unknownSpi.admit(source, nowMs_) || nowMs_ != 0) {",
    tests: [`${ENGINE}: a flood of unknown SPIs is bounded in events and memory, and data goes on`],
  },
  {
    attack: "flood with unknown SPIs",
    check: "a budget for questions (vnetd)",
    file: "src/vnet/secure-strangers.ts",
    text: "mayOnceMore(secure.strangerRates, UNKNOWN_SOURCES, now))",
    without: "mayOnceMore(secure.strangerRates, UNKNOWN_SOURCES, now) || now >= 0)",
    tests: [
      `${FLOODED}: unknown SPIs from made-up sources make us ask a few times a second, not each`,
    ],
  },
  {
    attack: "fill what is held for a key",
    check: "an SPI's share in datagrams",
    file: "native/path/hold-queue.cc",
    text: "datagramsOfSpi == kDatagramsPerSpi ||",
    without: "datagramsOfSpi == kDatagrams ||",
    tests: ["native/test/hold-queue-test.cc"],
  },
  {
    attack: "fill what is held for a key",
    check: "an SPI's share in octets",
    file: "native/path/hold-queue.cc",
    text: "bytesOfSpi > kBytesPerSpi ||",
    without: "bytesOfSpi > kBytes ||",
    tests: ["native/test/hold-queue-test.cc"],
  },
  {
    attack: "ask in a victim's name, so that the answers flood it",
    check: "a budget for answers",
    file: "src/vnet/secure-hello.ts",
    text: "    mayOnceMore(secure.answerRates, formatEndpoint(to), now) &&",
    without: "    (mayOnceMore(secure.answerRates, formatEndpoint(to), now) || now >= 0) &&",
    tests: [`${FLOODED}: a SOLICIT with a made-up source gets no more than it cost`],
  },
  {
    attack: "ask with little, to have much sent",
    check: "no answer is longer than its question",
    file: "src/vnet/secure-answer.ts",
    text: "  if (request.answerBytesMax < HANDSHAKE_BYTES) {",
    without: "  if (request.answerBytesMax < HANDSHAKE_BYTES * 0) {",
    tests: [
      `${FLOODED}: one SOLICIT is answered with no more octets than it has, whatever its length`,
    ],
  },
  {
    attack: "make up hosts of the vnet with another key",
    check: "sixteen are shown",
    file: "src/vnet/secure-state.ts",
    text: "vnet.strangers.size > STRANGERS_MAX &&",
    without: "vnet.strangers.size > STRANGERS_MAX * 1000 &&",
    tests: [`${FLOODED}: only the newest sixteen that seem to belong here are shown`],
  },
  {
    attack: "as an insider, make up hosts",
    check: "the number of hosts that are kept",
    file: "src/vnet/secure-hosts.ts",
    text: "  if (vnet.hosts.size >= step.secure.hostsPerVnetMax) {",
    without: "  if (vnet.hosts.size >= step.secure.hostsPerVnetMax * 1000) {",
    tests: [
      `${FLOODED}: more hosts than there is room for are not taken in, and the known ones stay`,
    ],
  },
];

export const SECURE_MUTATIONS: readonly (readonly [
  title: string,
  mutations: readonly Mutation[],
])[] = [
  ["Replays", REPLAYS],
  ["Forged and damaged messages", FORGERIES],
  ["Downgrades, and false places", DOWNGRADES],
  ["Identities and nonces", IDENTITIES],
  ["Floods", FLOODS],
];
