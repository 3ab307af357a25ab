// SPDX-License-Identifier: MIT
/*
 * fake_socket.mjs - WebSockets that exist only here: a client's test says what happens to them, and sees what it sends.
 */
export class FakeSocket {
  static made = [];
  static onMake = () => {};
  readyState = 0;
  bufferedAmount = 0;
  sent = [];

  constructor(url) {
    this.url = url;
    FakeSocket.made.push(this);
    FakeSocket.onMake(this);
  }

  static reset(onMake = () => {}) {
    FakeSocket.made = [];
    FakeSocket.onMake = onMake;
  }

  static get last() {
    return FakeSocket.made.at(-1);
  }

  open() {
    this.readyState = 1;
    this.onopen?.();
  }

  fail(code = 1006, reason = '') {
    this.readyState = 3;
    this.onerror?.();
    this.onclose?.({ code, reason, wasClean: false });
  }

  send(data) {
    this.sent.push(data);
  }

  close(code, reason) {
    this.readyState = 2;
    this.closing = [code, reason];
  }
}
