"""MSAL, unmodified, as azure-cli uses it: run by `test_msal` in front of the real applications on TLS.

Prints `all of it` when every flow has done what it should.
"""

from __future__ import annotations

import os
import re
import threading
import time

import msal
import requests

TENANT = os.environ["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"]
SECRET = os.environ["AZUREML_SERVICE_PRINCIPAL_PASSWORD"]
AZ = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
ADMIN = "admin@ringfence.onmicrosoft.com"
ARM, GRAPH = "https://management.core.windows.net/", "https://graph.microsoft.com"


def application() -> None:
    client = msal.ConfidentialClientApplication(
        "client", client_credential=SECRET, authority=f"https://login.microsoftonline.com/{TENANT}"
    )
    token = client.acquire_token_for_client([f"{GRAPH}/.default"])["access_token"]
    found = requests.get(f"{GRAPH}/v1.0/servicePrincipals", headers={"Authorization": f"Bearer {token}"}, timeout=10).json()
    assert [p["appId"] for p in found["value"]] == ["client"], found


def password(client: msal.PublicClientApplication) -> None:
    found = client.acquire_token_by_username_password(ADMIN, SECRET, [f"{ARM}/.default"])
    assert found["id_token_claims"]["preferred_username"] == ADMIN, found
    (account,) = client.get_accounts()
    assert account["username"] == ADMIN
    again = client.acquire_token_silent([f"{ARM}/.default"], account)
    assert again["access_token"] == found["access_token"], "the scope of the answer is what the cache finds it by"
    other = client.acquire_token_silent([f"{GRAPH}/.default"], account)
    me = requests.get(f"{GRAPH}/v1.0/me", headers={"Authorization": f"Bearer {other['access_token']}"}, timeout=10).json()
    assert me["userPrincipalName"] == ADMIN, me
    wrong = client.acquire_token_by_username_password(ADMIN, "wrong", [f"{ARM}/.default"])
    assert wrong["error"] == "invalid_grant" and wrong["error_codes"] == [50126], wrong


def device() -> None:
    client = msal.PublicClientApplication(AZ, authority="https://login.microsoftonline.com/organizations")
    flow = client.initiate_device_flow([f"{ARM}/.default"])
    browser = requests.Session()
    page = browser.get(flow["verification_uri"], timeout=10)
    proof = re.search(r'name="proof" value="(\w+)"', page.text)
    assert proof is not None, page.text
    entered = {"proof": proof[1], "code": flow["user_code"], "user": ADMIN, "password": SECRET, "decision": "approve"}
    done = browser.post(flow["verification_uri"], data=entered, timeout=10)
    assert done.status_code == 200, done.text
    found = client.acquire_token_by_device_flow(flow)
    assert found["id_token_claims"]["tid"] == TENANT and found["refresh_token"], found


def browser() -> None:
    """The interactive sign-in; this opener is the browser."""

    def opened(url: str) -> None:
        def run() -> None:
            session = requests.Session()
            page = session.get(url, timeout=10)
            proof = re.search(r'name="proof" value="(\w+)"', page.text)
            assert proof is not None, page.text
            there = session.post(url, data={"proof": proof[1], "user": ADMIN, "password": SECRET}, timeout=10)
            fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', there.text))
            action = re.search(r'action="([^"]+)"', there.text)
            if action is not None:
                session.post(action[1], data=fields, timeout=10)

        threading.Thread(target=run, daemon=True).start()

    client = msal.PublicClientApplication(AZ, authority=f"https://login.microsoftonline.com/{TENANT}")
    found = client.acquire_token_interactive([f"{ARM}/.default"], timeout=20, auth_uri_callback=opened, prompt="select_account")
    assert found.get("id_token_claims", {}).get("oid"), found


def main() -> None:
    began = time.monotonic()
    application()
    password(msal.PublicClientApplication(AZ, authority=f"https://login.microsoftonline.com/{TENANT}"))
    device()
    browser()
    print(f"{time.monotonic() - began:.1f} s, all of it")


main()
