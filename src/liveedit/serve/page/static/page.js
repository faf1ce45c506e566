// A picture is chosen, dropped, pasted or taken up from the queue; everything else is htmx's.
const picture = document.getElementById("picture");
const shown = document.getElementById("shown");
const clear = document.getElementById("clear");
const drop = document.getElementById("drop");
const question = document.getElementById("question");

function show() {
  if (shown.src) URL.revokeObjectURL(shown.src);
  const file = picture.files[0];
  shown.hidden = clear.hidden = !file;
  if (file) shown.src = URL.createObjectURL(file);
  else shown.removeAttribute("src");
}

function take(file) {
  const chosen = new DataTransfer();
  if (file) chosen.items.add(file);
  picture.files = chosen.files;
  show();
}

function pictureIn(items) {
  return [...items].find((file) => file.type.startsWith("image/"));
}

picture.addEventListener("change", show);
clear.addEventListener("click", () => {
  take(null);
  picture.focus();
});
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    const file = name === "drop" && pictureIn(event.dataTransfer.files);
    if (file) take(file);
  });
}
document.addEventListener("paste", (event) => {
  const file = pictureIn(event.clipboardData.files);
  if (file) take(file);
});
question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) question.form.requestSubmit();
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("button.take");
  if (!button) return;
  question.value = button.dataset.prompt;
  take(button.dataset.picture ? fileOf(button.dataset.picture) : null);
  question.focus();
});

function fileOf(url) {
  const [head, data] = url.split(",", 2);
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const type = head.slice(5).split(";")[0];
  return new File([bytes], "picture", { type });
}
