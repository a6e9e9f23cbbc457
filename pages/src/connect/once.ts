/** A form is sent once: a second press would ask for what the first has answered. Without script the server says so on a page. */
for (const form of document.forms) {
	let sent = false;
	form.addEventListener('submit', (event) => {
		if (sent) event.preventDefault();
		sent = true;
	});
	// A page that comes back by the back button can be answered again.
	addEventListener('pageshow', () => {
		sent = false;
	});
}
